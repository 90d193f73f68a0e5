-- A checksum over each entry with what its payment was created with, and over each intent
-- (payments/seals.py), so that a change behind paycli's back is seen. crc32 is paycli's.

DROP TRIGGER entry_is_never_changed;
ALTER TABLE entry ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
UPDATE entry SET seal = (
    SELECT crc32(
        seq || ',' || entry.version || ',' || kind || ',' || entry.amount || ',' || released || ','
        || entry.captured || ',' || entry.voided || ',' || entry.refunded || ',' || requested || ','
        || final || ',' || entry.created_us || ',' || payment.amount || ',' || capture_method || ','
        || expires_us || ',' || payment.created_us || ',' || entry.payment_id || char(30)
        || order_id || char(30) || customer_id || char(30) || currency || char(30)
        || request_key || char(30) || reason || char(30))
    FROM payment WHERE payment.payment_id = entry.payment_id
);
CREATE TRIGGER entry_is_never_changed BEFORE UPDATE ON entry
BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;

ALTER TABLE intent ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
UPDATE intent SET seal = crc32(
    request_key || char(30) || payment_id || char(30) || order_id || char(30) || customer_id
    || char(30) || currency || char(30) || amount || char(30) || now_us || char(30)
    || capture_method || char(30) || expires_us || char(30) || decline_reason || char(30)
    || claim || char(30) || lease_us
);

-- The digest of the journal up to seq, put into a backup when it is made.
CREATE TABLE anchor (
    seq    INTEGER NOT NULL PRIMARY KEY,
    digest TEXT    NOT NULL
) STRICT;
