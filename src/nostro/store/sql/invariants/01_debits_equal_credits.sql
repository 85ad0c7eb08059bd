-- Per transaction and so per currency, debits equal credits, and both are the transaction's amount.
SELECT 'position ' || t.position AS offender,
       'debits ' || coalesce(sum(e.amount) FILTER (WHERE e.direction = 'DEBIT'), 0) || ', credits '
       || coalesce(sum(e.amount) FILTER (WHERE e.direction = 'CREDIT'), 0) || ', amount ' || t.amount AS finding
  FROM transactions t LEFT JOIN entries e ON e.position = t.position
 GROUP BY t.position, t.amount
HAVING coalesce(sum(e.amount) FILTER (WHERE e.direction = 'DEBIT'), 0) <> t.amount
    OR coalesce(sum(e.amount) FILTER (WHERE e.direction = 'CREDIT'), 0) <> t.amount
 ORDER BY t.position LIMIT 1;
