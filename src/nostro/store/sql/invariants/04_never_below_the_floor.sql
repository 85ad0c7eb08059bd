-- No prefix of an account's entries is below the floor in force then, and the floor of an account is the one that
-- the journal gave it last: 0 when it was opened (a settlement account has none), another by a change of its limits
-- or by a forced reversal, from that position on.
WITH changed AS (
  SELECT account_id, position, (details->'after'->>'floor')::bigint AS floor
    FROM events WHERE kind = 'LIMITS_CHANGED'
  UNION ALL
  SELECT from_account, position, floor_after FROM transactions WHERE floor_after IS NOT NULL
), in_force AS (
  SELECT account_id, floor, position AS since,
         lead(position) OVER (PARTITION BY account_id ORDER BY position) AS until
    FROM changed
)
SELECT 'account ' || encode(account_id, 'hex') || coalesce(' seq ' || seq, '') AS offender, finding
  FROM (SELECT e.account_id, e.seq,
               'balance ' || e.balance_after || ' is below the floor ' || floors.floor AS finding
          FROM entries e
          JOIN accounts a ON a.id = e.account_id
          LEFT JOIN in_force f ON f.account_id = e.account_id AND e.position >= f.since
                              AND (f.until IS NULL OR e.position < f.until)
         CROSS JOIN LATERAL (
           SELECT CASE WHEN f.account_id IS NOT NULL THEN f.floor WHEN NOT a.settlement THEN 0 END AS floor
         ) AS floors
         WHERE e.balance_after < floors.floor
        UNION ALL
        SELECT a.id, NULL, 'its floor is ' || coalesce(a.floor::text, 'none') || ', in the journal '
                           || coalesce(floors.floor::text, 'none')
          FROM accounts a
          LEFT JOIN in_force f ON f.account_id = a.id AND f.until IS NULL
         CROSS JOIN LATERAL (
           SELECT CASE WHEN f.account_id IS NOT NULL THEN f.floor WHEN NOT a.settlement THEN 0 END AS floor
         ) AS floors
         WHERE a.floor IS DISTINCT FROM floors.floor) AS broken
 ORDER BY account_id, seq LIMIT 1;
