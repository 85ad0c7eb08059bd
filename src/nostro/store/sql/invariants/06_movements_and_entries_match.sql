-- Every movement has its DEBIT on from_account and its CREDIT on to_account, every entry its movement, at the
-- same time and in the currency of its account.
SELECT 'position ' || coalesce(t.position, e.position) AS offender,
       CASE WHEN t.position IS NULL THEN 'an entry of account ' || encode(e.account_id, 'hex') || ' has no movement'
            WHEN e.position IS NULL THEN 'a movement has no entry on ' || t.side
            ELSE 'entry and movement disagree on ' || t.side END AS finding
  FROM (SELECT position, 'the paying side' AS side, from_account AS account_id, 'DEBIT'::entry_direction AS direction,
               amount, currency, created_at FROM transactions
        UNION ALL
        SELECT position, 'the receiving side', to_account, 'CREDIT', amount, currency, created_at
          FROM transactions) AS t
  FULL JOIN entries e ON e.position = t.position AND e.account_id = t.account_id AND e.direction = t.direction
  LEFT JOIN accounts a ON a.id = e.account_id
 WHERE t.position IS NULL OR e.position IS NULL
    OR e.amount <> t.amount OR e.created_at <> t.created_at OR a.currency IS DISTINCT FROM t.currency
 ORDER BY coalesce(t.position, e.position) LIMIT 1;
