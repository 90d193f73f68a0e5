-- A batch: entries, the payments that they create, and what comes into each account. Returns how many
-- entries were written; fewer than were given means that another server has used a key meanwhile.
-- The rows come in the order in which all writers lock them. (Rows that RETURNING gives are never
-- joined to the input: that is a nested loop.)
WITH written AS (
    INSERT INTO entry (
        seq, payment_id, version, kind, amount, released, captured, voided, refunded, requested,
        final, request_key, reason, created_us, seal
    )
    SELECT * FROM unnest(
        $1::bigint[], $2::text[], $3::integer[], $4::smallint[], $5::bigint[], $6::bigint[],
        $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::smallint[], $12::text[],
        $13::text[], $14::bigint[], $15::bigint[]
    )
    ON CONFLICT (request_key) DO NOTHING
    RETURNING 1
), created AS (
    INSERT INTO payment (
        payment_id, created_seq, order_id, customer_id, currency, amount, capture_method,
        decline_reason, authorized, captured, voided, refunded, expired, version, expires_us,
        created_us, updated_us
    )
    SELECT * FROM unnest(
        $16::text[], $17::bigint[], $18::text[], $19::text[], $20::text[], $21::bigint[],
        $22::smallint[], $23::text[], $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[],
        $28::smallint[], $29::integer[], $30::bigint[], $31::bigint[], $32::bigint[]
    )
), moved AS (
    INSERT INTO balance (account, currency, slot, amount)
    SELECT account, currency, pg_backend_pid() % 16, amount
    FROM unnest($33::text[], $34::text[], $35::bigint[]) AS given (account, currency, amount)
    ON CONFLICT (account, currency, slot) DO UPDATE SET amount = balance.amount + excluded.amount
)
SELECT count(*) FROM written
