-- Per transaction and currency, debits equal credits, and both are what the transaction says: its amount, and for
-- an exchange the other half's amount in the other currency. What only sets money aside has no entries at all.
WITH told AS (
  SELECT position, currency, amount FROM transactions WHERE kind NOT IN ('HOLD', 'EXTENSION', 'VOID', 'EXPIRY')
  UNION ALL
  SELECT position, counter_currency, counter_amount FROM transactions WHERE counter_amount IS NOT NULL
), written AS (
  SELECT e.position, a.currency,
         sum(e.amount) FILTER (WHERE e.direction = 'DEBIT') AS debits,
         sum(e.amount) FILTER (WHERE e.direction = 'CREDIT') AS credits
    FROM entries e JOIN accounts a ON a.id = e.account_id
   GROUP BY e.position, a.currency
)
SELECT 'position ' || coalesce(told.position, written.position) AS offender,
       'debits ' || coalesce(debits, 0) || ', credits ' || coalesce(credits, 0) || ', amount '
       || coalesce(amount, 0) AS finding
  FROM told FULL JOIN written ON written.position = told.position AND written.currency = told.currency
 WHERE debits IS DISTINCT FROM amount OR credits IS DISTINCT FROM amount
 ORDER BY coalesce(told.position, written.position) LIMIT 1;
