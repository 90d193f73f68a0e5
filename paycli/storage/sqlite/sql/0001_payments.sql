-- Payments as they stand, and the journal of how they came to stand there.
-- Amounts are minor units, times microseconds since 1970 UTC; 0 means never or none.

CREATE TABLE payment (
    payment_id     TEXT    NOT NULL PRIMARY KEY,
    created_seq    INTEGER NOT NULL,
    order_id       TEXT    NOT NULL,
    customer_id    TEXT    NOT NULL,
    currency       TEXT    NOT NULL,
    amount         INTEGER NOT NULL CHECK (amount > 0),
    capture_method INTEGER NOT NULL,
    decline_reason TEXT    NOT NULL,
    authorized     INTEGER NOT NULL CHECK (authorized IN (0, amount)),
    captured       INTEGER NOT NULL CHECK (captured >= 0),
    voided         INTEGER NOT NULL CHECK (voided >= 0),
    refunded       INTEGER NOT NULL CHECK (refunded BETWEEN 0 AND captured),
    expired        INTEGER NOT NULL CHECK (expired IN (0, 1)),
    version        INTEGER NOT NULL CHECK (version > 0),
    expires_us     INTEGER NOT NULL,
    created_us     INTEGER NOT NULL,
    updated_us     INTEGER NOT NULL,
    -- payments/states.py, for the index below; computed, so it cannot drift.
    state          TEXT    NOT NULL AS (CASE
        WHEN authorized = 0                  THEN 'DECLINED'
        WHEN captured + voided < authorized  THEN iif(captured, 'PARTIALLY_CAPTURED', 'AUTHORIZED')
        WHEN captured = 0                    THEN iif(expired, 'EXPIRED', 'VOIDED')
        WHEN refunded = 0                    THEN 'CAPTURED'
        WHEN refunded < captured             THEN 'PARTIALLY_REFUNDED'
        ELSE 'REFUNDED' END) VIRTUAL,
    CHECK (captured + voided <= authorized)
) STRICT, WITHOUT ROWID;

-- Ids begin with their time, so every list in the order of ids is a list in the order of time.
CREATE INDEX payment_by_order ON payment (order_id, payment_id);
CREATE INDEX payment_by_customer ON payment (customer_id, payment_id);
-- Nearly all payments are CAPTURED: that state needs no index, and leaving it out keeps writes cheap.
CREATE INDEX payment_by_state ON payment (state, payment_id) WHERE state <> 'CAPTURED';
CREATE INDEX payment_expiring ON payment (expires_us)
    WHERE expires_us > 0 AND state IN ('AUTHORIZED', 'PARTIALLY_CAPTURED');

-- Append-only: one row per command carried out, for ever. seq orders all events of the store;
-- request_key makes a key mean at most one operation.
CREATE TABLE entry (
    seq         INTEGER NOT NULL PRIMARY KEY,
    payment_id  TEXT    NOT NULL REFERENCES payment,
    version     INTEGER NOT NULL CHECK (version > 0),
    kind        INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 7),
    amount      INTEGER NOT NULL CHECK (amount >= 0),
    released    INTEGER NOT NULL CHECK (released >= 0),
    captured    INTEGER NOT NULL,
    voided      INTEGER NOT NULL,
    refunded    INTEGER NOT NULL,
    requested   INTEGER NOT NULL,
    final       INTEGER NOT NULL,
    request_key TEXT    NOT NULL UNIQUE,
    reason      TEXT    NOT NULL,
    created_us  INTEGER NOT NULL
) STRICT;

-- A payment's first entry is found by payment.created_seq; most payments have no other.
CREATE UNIQUE INDEX entry_of_payment ON entry (payment_id, version) WHERE version > 1;

CREATE TRIGGER entry_is_never_changed BEFORE UPDATE ON entry
BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry
BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;

-- What the processor is being asked. A row goes when its payment is written, or when the
-- processor is known to have done nothing.
CREATE TABLE intent (
    request_key    TEXT    NOT NULL PRIMARY KEY,
    payment_id     TEXT    NOT NULL,
    order_id       TEXT    NOT NULL,
    customer_id    TEXT    NOT NULL,
    currency       TEXT    NOT NULL,
    amount         INTEGER NOT NULL CHECK (amount > 0),
    now_us         INTEGER NOT NULL,
    capture_method INTEGER NOT NULL,
    expires_us     INTEGER NOT NULL,
    decline_reason TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

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
