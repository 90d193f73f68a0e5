-- An intent can be of any operation, not of a creation alone: a capture, void or refund that the
-- processor is asked about. What an operation does not have is '' or 0. One change of a payment at a
-- time is at the processor.

CREATE TABLE new_intent (
    request_key    TEXT    NOT NULL PRIMARY KEY,
    payment_id     TEXT    NOT NULL UNIQUE,
    action         TEXT    NOT NULL CHECK (action IN ('create', 'capture', 'void', 'refund')),
    now_us         INTEGER NOT NULL,
    amount         INTEGER NOT NULL CHECK (amount >= 0),
    currency       TEXT    NOT NULL,
    customer_id    TEXT    NOT NULL,
    order_id       TEXT    NOT NULL,
    capture_method INTEGER NOT NULL,
    expires_us     INTEGER NOT NULL,
    final          INTEGER NOT NULL CHECK (final IN (0, 1)),
    reason         TEXT    NOT NULL,
    claim          TEXT    NOT NULL,
    lease_us       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO new_intent
SELECT request_key, payment_id, 'create', now_us, amount, currency, customer_id, order_id,
       capture_method, expires_us, 0, '', claim, lease_us
FROM intent;

DROP TABLE intent;
ALTER TABLE new_intent RENAME TO intent;
