-- A user's key stands for one transaction of an operation. Counted from the table, not trusted to the index.
SELECT 'user ' || encode(requested_by, 'hex') || ' key ' || idempotency_key AS offender,
       count(*) || ' transactions of operation ' || operation AS finding
  FROM transactions
 GROUP BY requested_by, operation, idempotency_key
HAVING count(*) > 1
 ORDER BY min(position) LIMIT 1;
