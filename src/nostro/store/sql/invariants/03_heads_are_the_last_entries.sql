-- An account's balance and last_seq are those of its last entry; held is what its pending holds still hold.
SELECT 'account ' || encode(a.id, 'hex') AS offender,
       'head says seq ' || a.last_seq || ', balance ' || a.balance || ', held ' || a.held || '; entries say seq '
       || coalesce(e.seq, 0) || ', balance ' || coalesce(e.balance_after, 0) || ', holds say '
       || coalesce(h.held, 0) AS finding
  FROM accounts a
  LEFT JOIN (SELECT DISTINCT ON (account_id) account_id, seq, balance_after
               FROM entries ORDER BY account_id, seq DESC) e ON e.account_id = a.id
  LEFT JOIN (SELECT account_id, sum(amount - captured - released) AS held
               FROM summaries WHERE status = 'PENDING' GROUP BY account_id) h ON h.account_id = a.id
 WHERE a.last_seq <> coalesce(e.seq, 0) OR a.balance <> coalesce(e.balance_after, 0)
    OR a.held <> coalesce(h.held, 0)
 ORDER BY a.id LIMIT 1;
