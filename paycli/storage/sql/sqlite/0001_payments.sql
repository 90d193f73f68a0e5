-- Payments as they stand, and the journal of how they came to stand there.
-- Amounts are minor units, times microseconds since 1970 UTC; 0 means never or none.

CREATE TABLE payment (
    payment_id     TEXT    NOT NULL PRIMARY KEY,
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
    expired        INTEGER NOT NULL,
    version        INTEGER NOT NULL CHECK (version > 0),
    expires_us     INTEGER NOT NULL,
    created_us     INTEGER NOT NULL,
    updated_us     INTEGER NOT NULL,
    CHECK (captured + voided <= authorized)
) STRICT, WITHOUT ROWID;

-- Append-only: one row per command carried out, for ever. seq orders all events of the store;
-- request_key makes a key mean at most one operation.
CREATE TABLE entry (
    seq         INTEGER NOT NULL PRIMARY KEY,
    payment_id  TEXT    NOT NULL REFERENCES payment,
    version     INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    amount      INTEGER NOT NULL CHECK (amount >= 0),
    released    INTEGER NOT NULL CHECK (released >= 0),
    captured    INTEGER NOT NULL,
    voided      INTEGER NOT NULL,
    refunded    INTEGER NOT NULL,
    requested   INTEGER NOT NULL,
    final       INTEGER NOT NULL,
    request_key TEXT    UNIQUE,
    refund_id   TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    created_us  INTEGER NOT NULL,
    UNIQUE (payment_id, version)
) STRICT;

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
