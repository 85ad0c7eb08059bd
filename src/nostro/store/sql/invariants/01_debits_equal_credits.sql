-- Per transaction and so per currency, debits equal credits, and both are the transaction's amount.
SELECT 'position ' || t.position AS offender,
       'debits ' || coalesce(e.debits, 0) || ', credits ' || coalesce(e.credits, 0) || ', amount ' || t.amount
         AS finding
  FROM transactions t
  LEFT JOIN (SELECT position,
                    sum(amount) FILTER (WHERE direction = 'DEBIT') AS debits,
                    sum(amount) FILTER (WHERE direction = 'CREDIT') AS credits
               FROM entries GROUP BY position) AS e ON e.position = t.position
 WHERE e.debits IS DISTINCT FROM t.amount OR e.credits IS DISTINCT FROM t.amount
 ORDER BY t.position LIMIT 1;
