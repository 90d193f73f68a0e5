-- What an entry's seal covers, with the seal, in the journal's order. The text is the one of
-- payments/seals.py.
SELECT seq, seal,
       seq || ',' || entry.version || ',' || kind || ',' || entry.amount || ',' || released || ','
       || entry.captured || ',' || entry.voided || ',' || entry.refunded || ',' || requested || ','
       || final || ',' || entry.created_us || ',' || payment.amount || ',' || capture_method || ','
       || expires_us || ',' || payment.created_us || ',' || entry.payment_id || char(30)
       || order_id || char(30) || customer_id || char(30) || currency || char(30)
       || request_key || char(30) || reason || char(30)
FROM entry JOIN payment USING (payment_id)
WHERE seq <= :last
ORDER BY seq
