-- Accounts whose stored balance is not the sum of their postings, taken from the payments' counters.
WITH owed (account, currency, amount) AS (
    SELECT 'customer/' || customer_id, currency, sum(-(authorized - voided - refunded))
    FROM payment GROUP BY customer_id, currency
    UNION ALL
    SELECT 'merchant', currency, sum(captured - refunded) FROM payment GROUP BY currency
), stored (account, currency, amount) AS (
    SELECT account, currency, sum(amount) FROM balance GROUP BY account, currency
)
SELECT account, currency, coalesce(stored.amount, 0), coalesce(owed.amount, 0)
FROM owed FULL JOIN stored USING (account, currency)
WHERE coalesce(stored.amount, 0) <> coalesce(owed.amount, 0) OR owed.amount IS NULL
LIMIT 1
