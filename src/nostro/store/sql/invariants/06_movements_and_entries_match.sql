-- Every leg of a movement has its DEBIT on the paying and its CREDIT on the receiving account, every entry its
-- leg, at the same times and in the currency of its account.
WITH leg AS (
  SELECT position, from_account, to_account, amount, currency FROM legs
  UNION ALL
  SELECT position, from_account, to_account, amount, currency FROM transactions t
   WHERE kind NOT IN ('HOLD', 'EXTENSION', 'VOID', 'EXPIRY')
     AND NOT EXISTS (SELECT FROM legs l WHERE l.position = t.position)
), side AS (
  SELECT position, from_account AS account_id, 'DEBIT'::entry_direction AS direction, currency, sum(amount) AS amount
    FROM leg GROUP BY position, from_account, currency
  UNION ALL
  SELECT position, to_account, 'CREDIT', currency, sum(amount) FROM leg GROUP BY position, to_account, currency
), written AS (
  SELECT e.position, e.account_id, e.direction, sum(e.amount) AS amount, bool_and(
           e.created_at = t.created_at AND e.effective_at IS NOT DISTINCT FROM t.effective_at) AS timely
    FROM entries e JOIN transactions t ON t.position = e.position
   GROUP BY e.position, e.account_id, e.direction
)
SELECT 'position ' || coalesce(s.position, w.position) AS offender,
       CASE WHEN s.position IS NULL THEN 'an entry of account ' || encode(w.account_id, 'hex') || ' has no movement'
            WHEN w.position IS NULL THEN 'a movement has no ' || direction_name(s.direction) || ' entry'
            ELSE 'entry and movement disagree on the ' || direction_name(s.direction) || ' side' END AS finding
  FROM side s
  FULL JOIN written w ON w.position = s.position AND w.account_id = s.account_id AND w.direction = s.direction
  LEFT JOIN accounts a ON a.id = w.account_id
 WHERE s.position IS NULL OR w.position IS NULL OR w.amount <> s.amount OR NOT w.timely
    OR a.currency IS DISTINCT FROM s.currency
UNION ALL
SELECT 'position ' || e.position, 'an entry of account ' || encode(e.account_id, 'hex') || ' has no movement'
  FROM entries e WHERE NOT EXISTS (SELECT FROM transactions t WHERE t.position = e.position)
 ORDER BY offender LIMIT 1;
