-- Accounts whose stored balance is not the sum of their postings, taken from the payments' counters.
WITH owed (account, currency, amount) AS (
    SELECT 'customer/' || customer_id, currency, -sum(authorized - voided - refunded)
    FROM payment GROUP BY +customer_id, currency
    UNION ALL
    SELECT 'merchant', currency, sum(captured - refunded) FROM payment GROUP BY currency
)
SELECT account, currency, coalesce(balance.amount, 0), coalesce(owed.amount, 0)
FROM owed FULL JOIN balance USING (account, currency)
WHERE coalesce(balance.amount, 0) <> coalesce(owed.amount, 0)
LIMIT 1
