-- What the seals of the next entries cover, a line each, and the seals, in the journal's order. The
-- text is the one of payments/seals.py. Many in one row, since a row for each takes half as long again.
SELECT count(*), max(seq), string_agg(sealed, chr(10) ORDER BY seq), array_agg(seal ORDER BY seq)
FROM (
    SELECT seq, seal,
           seq || ',' || entry.version || ',' || kind || ',' || entry.amount || ',' || released || ','
           || entry.captured || ',' || entry.voided || ',' || entry.refunded || ',' || requested
           || ',' || final || ',' || entry.created_us || ',' || payment.amount || ','
           || capture_method || ',' || expires_us || ',' || payment.created_us || ','
           || entry.payment_id || chr(30) || order_id || chr(30) || customer_id || chr(30)
           || currency || chr(30) || request_key || chr(30) || reason || chr(30) AS sealed
    FROM entry JOIN payment USING (payment_id)
    WHERE seq > $1 AND seq <= $2
    ORDER BY seq
    LIMIT $3
) AS next
