-- An intent can be of any operation, not of a creation alone: a capture, void or refund that the
-- processor is asked about. What an operation does not have is '' or 0. One change of a payment at a
-- time is at the processor. The seal is over all other columns (storage/intents.py).

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
    lease_us       INTEGER NOT NULL,
    seal           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO new_intent
SELECT request_key, payment_id, 'create', now_us, amount, currency, customer_id, order_id,
       capture_method, expires_us, 0, '', claim, lease_us, 0
FROM intent;

UPDATE new_intent SET seal = crc32(
    request_key || char(30) || payment_id || char(30) || action || char(30) || now_us || char(30)
    || amount || char(30) || currency || char(30) || customer_id || char(30) || order_id || char(30)
    || capture_method || char(30) || expires_us || char(30) || final || char(30) || reason
    || char(30) || claim || char(30) || lease_us
);

DROP TABLE intent;
ALTER TABLE new_intent RENAME TO intent;
