-- Payments as they stand after a batch; they were locked when it began.
UPDATE payment
SET captured = given.captured, voided = given.voided, refunded = given.refunded,
    expired = given.expired, version = given.version, updated_us = given.updated_us
FROM unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::integer[], $6::bigint[], $7::text[]
) AS given (captured, voided, refunded, expired, version, updated_us, payment_id)
WHERE payment.payment_id = given.payment_id
