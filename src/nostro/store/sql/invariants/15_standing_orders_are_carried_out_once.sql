-- Every occurrence that was carried out has its transfer, of its order and under its key, and every transfer under
-- such a key has its occurrence; unless a process is at the order and has not written it down yet.
WITH runs AS (
  SELECT o.owner, o.from_account, o.to_account, r.transaction_id, r.occurrence, o.id,
         'standing-order·' || encode(o.id, 'hex') || '·' || r.occurrence AS key
    FROM standing_order_runs r JOIN standing_orders o ON o.id = r.order_id
   WHERE r.status = 'EXECUTED'
), under_way AS (
  SELECT owner, 'standing-order·' || encode(id, 'hex') || '·' || occurrence AS key
    FROM standing_orders WHERE mandate IS NOT NULL
), moved AS (
  SELECT requested_by, idempotency_key, id, from_account, to_account FROM transactions
   WHERE idempotency_key LIKE 'standing-order·%'
)
SELECT coalesce(runs.key, moved.idempotency_key) AS offender,
       CASE WHEN moved.id IS NULL THEN 'the occurrence was carried out, and its transfer is not there'
            WHEN runs.id IS NULL THEN 'a transfer that no occurrence knows of'
            ELSE 'the occurrence and its transfer disagree' END AS finding
  FROM runs
  FULL JOIN moved ON moved.requested_by = runs.owner AND moved.idempotency_key = runs.key
  LEFT JOIN under_way u ON u.owner = moved.requested_by AND u.key = moved.idempotency_key
 WHERE moved.id IS NULL OR (runs.id IS NULL AND u.key IS NULL)
    OR (moved.id, moved.from_account, moved.to_account)
       IS DISTINCT FROM (coalesce(runs.transaction_id, moved.id), coalesce(runs.from_account, moved.from_account),
                         coalesce(runs.to_account, moved.to_account))
 LIMIT 1;
