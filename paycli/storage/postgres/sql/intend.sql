-- What the processor is being asked from now on. Returns how many rows were written; fewer than were
-- given means that another server asks already.
WITH written AS (
    INSERT INTO intent (
        request_key, payment_id, action, now_us, amount, currency, customer_id, order_id,
        capture_method, expires_us, final, reason, claim, lease_us, seal
    )
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[],
        $8::text[], $9::smallint[], $10::bigint[], $11::smallint[], $12::text[], $13::text[],
        $14::bigint[], $15::bigint[]
    )
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM written
