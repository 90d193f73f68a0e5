-- What the seals of the next entries cover, a line each, and the seals, in the journal's order. The
-- text is the one of payments/seals.py. Many in one row, since a row for each takes half as long again.
SELECT count(*), max(seq), group_concat(sealed, char(10)), group_concat(seal, char(10))
FROM (
    SELECT seq, seal,
           seq || ',' || entry.version || ',' || kind || ',' || entry.amount || ',' || released || ','
           || entry.captured || ',' || entry.voided || ',' || entry.refunded || ',' || requested
           || ',' || final || ',' || entry.created_us || ',' || payment.amount || ','
           || capture_method || ',' || expires_us || ',' || payment.created_us || ','
           || entry.payment_id || char(30) || order_id || char(30) || customer_id || char(30)
           || currency || char(30) || request_key || char(30) || reason || char(30) AS sealed
    FROM entry JOIN payment USING (payment_id)
    WHERE seq > :after AND seq <= :last
    ORDER BY seq
    LIMIT :limit
)
