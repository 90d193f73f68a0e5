-- Accounts whose stored balance is not the sum of their postings, taken from the payments' counters.
-- No partial sum passes the whole, so nothing that a balance can hold overflows here.
WITH owed (account, currency, amount) AS (
    SELECT 'customer/' || customer_id, currency, sum(-(authorized - voided - refunded))
    FROM payment GROUP BY +customer_id, currency
    UNION ALL
    SELECT 'merchant', currency, sum(captured - refunded) FROM payment GROUP BY currency
)
SELECT account, currency, coalesce(balance.amount, 0), coalesce(owed.amount, 0)
FROM owed FULL JOIN balance USING (account, currency)
WHERE coalesce(balance.amount, 0) <> coalesce(owed.amount, 0) OR owed.amount IS NULL
LIMIT 1
