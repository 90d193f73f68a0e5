-- The payments from $1 to $2 that the auditor must look at: all but those that were charged,
-- authorized or declined, never touched since, and are plainly what their one entry says.
SELECT payment.payment_id
FROM payment LEFT JOIN entry ON entry.seq = payment.created_seq
WHERE payment.payment_id >= $1 AND payment.payment_id <= $2
  AND (payment.version = 1
       AND payment.amount BETWEEN 1 AND 999999999999999
       AND payment.currency = ANY($3)
       AND payment.voided = 0 AND payment.refunded = 0 AND payment.expired = 0
       AND payment.updated_us = payment.created_us
       AND payment.authorized = CASE WHEN payment.decline_reason = '' THEN payment.amount ELSE 0 END
       AND payment.captured = CASE WHEN payment.capture_method = 1 THEN payment.authorized ELSE 0 END
       AND (payment.expires_us = 0 OR payment.capture_method = 2)
       AND entry.payment_id = payment.payment_id
       AND entry.version = 1
       AND entry.kind = CASE WHEN payment.authorized = 0 THEN 3
                             WHEN payment.capture_method = 2 THEN 2 ELSE 1 END
       AND entry.amount = payment.authorized
       AND entry.released = 0
       AND entry.captured = payment.captured
       AND entry.voided = 0 AND entry.refunded = 0
       AND entry.requested = payment.amount
       AND entry.final = 0
       AND entry.reason = payment.decline_reason
       AND entry.created_us = payment.created_us) IS NOT TRUE  -- nor is it without an entry
ORDER BY payment.payment_id
