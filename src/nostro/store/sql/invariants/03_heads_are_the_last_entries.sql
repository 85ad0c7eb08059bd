-- An account's balance and last_seq are those of its last entry; nothing is held while there are no holds.
SELECT 'account ' || encode(a.id, 'hex') AS offender,
       'head says seq ' || a.last_seq || ', balance ' || a.balance || ', held ' || a.held || '; entries say seq '
       || coalesce(e.seq, 0) || ', balance ' || coalesce(e.balance_after, 0) || ', held 0' AS finding
  FROM accounts a
  LEFT JOIN (SELECT DISTINCT ON (account_id) account_id, seq, balance_after
               FROM entries ORDER BY account_id, seq DESC) e ON e.account_id = a.id
 WHERE a.last_seq <> coalesce(e.seq, 0) OR a.balance <> coalesce(e.balance_after, 0) OR a.held <> 0
 ORDER BY a.id LIMIT 1;
