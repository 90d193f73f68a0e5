-- Payments as they stand, and the journal of how they came to stand there.
-- Amounts are minor units, times microseconds since 1970 UTC; 0 means never or none.
-- Texts are compared as bytes, as everywhere in paycli.

CREATE TABLE payment (
    payment_id     text     NOT NULL COLLATE "C" PRIMARY KEY,
    created_seq    bigint   NOT NULL,
    order_id       text     NOT NULL COLLATE "C",
    customer_id    text     NOT NULL COLLATE "C",
    currency       text     NOT NULL COLLATE "C",
    amount         bigint   NOT NULL CHECK (amount > 0),
    capture_method smallint NOT NULL,
    decline_reason text     NOT NULL COLLATE "C",
    authorized     bigint   NOT NULL CHECK (authorized IN (0, amount)),
    captured       bigint   NOT NULL CHECK (captured >= 0),
    voided         bigint   NOT NULL CHECK (voided >= 0),
    refunded       bigint   NOT NULL CHECK (refunded BETWEEN 0 AND captured),
    expired        smallint NOT NULL CHECK (expired IN (0, 1)),
    version        integer  NOT NULL CHECK (version > 0),
    expires_us     bigint   NOT NULL,
    created_us     bigint   NOT NULL,
    updated_us     bigint   NOT NULL,
    -- payments/states.py, for the index below; computed, so it cannot drift.
    state          text     NOT NULL COLLATE "C" GENERATED ALWAYS AS (CASE
        WHEN authorized = 0                  THEN 'DECLINED'
        WHEN captured + voided < authorized  THEN
            CASE WHEN captured > 0 THEN 'PARTIALLY_CAPTURED' ELSE 'AUTHORIZED' END
        WHEN captured = 0                    THEN
            CASE WHEN expired = 1 THEN 'EXPIRED' ELSE 'VOIDED' END
        WHEN refunded = 0                    THEN 'CAPTURED'
        WHEN refunded < captured             THEN 'PARTIALLY_REFUNDED'
        ELSE 'REFUNDED' END) STORED,
    CHECK (captured + voided <= authorized)
);

-- Ids begin with their time, so every list in the order of ids is a list in the order of time.
CREATE INDEX payment_by_order ON payment (order_id, payment_id);
CREATE INDEX payment_by_customer ON payment (customer_id, payment_id);
-- Nearly all payments are CAPTURED: that state needs no index, and leaving it out keeps writes cheap.
CREATE INDEX payment_by_state ON payment (state, payment_id) WHERE state <> 'CAPTURED';
CREATE INDEX payment_expiring ON payment (expires_us, payment_id)
    WHERE expires_us > 0 AND state IN ('AUTHORIZED', 'PARTIALLY_CAPTURED');

-- Append-only: one row per command carried out, for ever. seq orders all events of the store;
-- request_key makes a key mean at most one operation. seal: payments/seals.py.
CREATE TABLE entry (
    seq         bigint   NOT NULL PRIMARY KEY,
    payment_id  text     NOT NULL COLLATE "C",
    version     integer  NOT NULL CHECK (version > 0),
    kind        smallint NOT NULL CHECK (kind BETWEEN 1 AND 7),
    amount      bigint   NOT NULL CHECK (amount >= 0),
    released    bigint   NOT NULL CHECK (released >= 0),
    captured    bigint   NOT NULL,
    voided      bigint   NOT NULL,
    refunded    bigint   NOT NULL,
    requested   bigint   NOT NULL,
    final       smallint NOT NULL,
    request_key text     NOT NULL COLLATE "C" CONSTRAINT entry_request_key_is_used_once UNIQUE,
    reason      text     NOT NULL COLLATE "C",
    created_us  bigint   NOT NULL,
    seal        bigint   NOT NULL
);

-- A payment's first entry is found by payment.created_seq; most payments have no other.
CREATE UNIQUE INDEX entry_of_payment ON entry (payment_id, version) WHERE version > 1;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the journal is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER entry_is_never_changed BEFORE UPDATE OR DELETE ON entry
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entry_is_never_emptied BEFORE TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What the processor is being asked. A row goes when its operation is written, or when the processor
-- is known to have done nothing. What an operation does not have is '' or 0. With an empty claim
-- nobody asks, and lease_us is when it should be asked again. seal: storage/intents.py.
CREATE TABLE intent (
    request_key    text     NOT NULL COLLATE "C" PRIMARY KEY,
    payment_id     text     NOT NULL COLLATE "C" UNIQUE,
    action         text     NOT NULL COLLATE "C"
                   CHECK (action IN ('create', 'capture', 'void', 'refund')),
    now_us         bigint   NOT NULL,
    amount         bigint   NOT NULL CHECK (amount >= 0),
    currency       text     NOT NULL COLLATE "C",
    customer_id    text     NOT NULL COLLATE "C",
    order_id       text     NOT NULL COLLATE "C",
    capture_method smallint NOT NULL,
    expires_us     bigint   NOT NULL,
    final          smallint NOT NULL CHECK (final IN (0, 1)),
    reason         text     NOT NULL COLLATE "C",
    claim          text     NOT NULL COLLATE "C",
    lease_us       bigint   NOT NULL,
    seal           bigint   NOT NULL
);
CREATE INDEX intent_by_lease ON intent (lease_us);

-- What each account holds: the sum of its rows. They are several, a writer takes the one of its slot,
-- so that payments into one account do not wait for each other's commits. A hold account has no row:
-- its payment says authorized - captured - voided.
CREATE TABLE balance (
    account  text     NOT NULL COLLATE "C",
    currency text     NOT NULL COLLATE "C",
    slot     smallint NOT NULL,
    amount   bigint   NOT NULL,
    PRIMARY KEY (account, currency, slot)
);

-- The double entry of the journal: every transfer as its two legs (payments/postings.py).
CREATE VIEW posting (seq, payment_id, account, currency, amount) AS
WITH transfer (seq, payment_id, customer_id, currency, debit, credit, amount) AS (
    SELECT entry.seq, entry.payment_id, payment.customer_id, payment.currency,
           CASE WHEN kind IN (1, 2) THEN 'customer' WHEN kind IN (4, 5, 6) THEN 'hold'
                WHEN kind = 7 THEN 'merchant' END,
           CASE WHEN kind IN (1, 4) THEN 'merchant' WHEN kind = 2 THEN 'hold'
                WHEN kind IN (5, 6, 7) THEN 'customer' END,
           entry.amount
    FROM entry JOIN payment USING (payment_id)
    WHERE entry.kind <> 3
    UNION ALL
    SELECT entry.seq, entry.payment_id, payment.customer_id, payment.currency,
           'hold', 'customer', entry.released
    FROM entry JOIN payment USING (payment_id)
    WHERE entry.released > 0
), leg (seq, payment_id, customer_id, currency, role, amount) AS (
    SELECT seq, payment_id, customer_id, currency, debit, -amount FROM transfer
    UNION ALL
    SELECT seq, payment_id, customer_id, currency, credit, amount FROM transfer
)
SELECT seq, payment_id,
       CASE role WHEN 'customer' THEN 'customer/' || customer_id
                 WHEN 'hold' THEN 'hold/' || payment_id
                 ELSE role END,
       currency, amount
FROM leg;

-- The digest of the journal up to seq, put into a backup when it is made.
CREATE TABLE anchor (
    seq    bigint NOT NULL PRIMARY KEY,
    digest text   NOT NULL COLLATE "C"
);

-- The numbers of entries. A batch that is rolled back leaves a gap. The first number is taken here, so
-- that last_value is always one that is taken.
CREATE SEQUENCE entry_seq MINVALUE 0;
SELECT nextval('entry_seq');

-- The lock between those who write keys into entry and those who write them into intent, as no index
-- covers both: the first take it in ROW EXCLUSIVE mode, the second in SHARE mode. Each mode goes
-- together with itself and not with the other.
CREATE TABLE key_lock ();

-- The seq up to which all entries can be read, whoever wrote them; 0 when there is none.
--
-- Numbers are reserved before they are committed, and become visible out of order. So a writer, before
-- it reserves any, takes an advisory lock that holds the last number reserved until then (tagged with
-- 0x7063 in its upper 16 bits). A number up to `reserved` whose writer has not ended has a lock below
-- it that was taken before we looked; a lock that is gone went after its rows became visible, and the
-- last statement has a snapshot of its own, taken later. (So this must not run in a transaction with
-- one snapshot for all statements.) It is a number of an entry, never one that is only reserved: after
-- a failover, reserved numbers can come again.
CREATE FUNCTION newest_seq() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    reserved bigint;
    finished bigint;
    newest   bigint;
BEGIN
    SELECT last_value INTO reserved FROM entry_seq;
    SELECT min((classid::bigint << 32 | objid::bigint) & 281474976710655) INTO finished
    FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = 28771
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
    SELECT seq INTO newest FROM entry WHERE seq <= least(reserved, finished)
    ORDER BY seq DESC LIMIT 1;
    RETURN coalesce(newest, 0);
END $$;

-- One row per migration (storage/schema.py).
CREATE TABLE migration (
    version integer NOT NULL PRIMARY KEY,
    name    text    NOT NULL
);
