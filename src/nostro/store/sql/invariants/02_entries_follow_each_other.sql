-- seq is dense from 1 within an account, and balance_after is that of the entry before, plus or minus the
-- amount; time never goes back within an account.
SELECT 'account ' || encode(account_id, 'hex') || ' seq ' || seq AS offender,
       'after seq ' || coalesce(before_seq, 0) || ' with balance ' || coalesce(before_balance, 0)
       || ' comes balance ' || balance_after AS finding
  FROM (SELECT account_id, seq, balance_after, created_at,
               CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END AS change,
               lag(seq) OVER same_account AS before_seq,
               lag(balance_after) OVER same_account AS before_balance,
               lag(created_at) OVER same_account AS before_time
          FROM entries WINDOW same_account AS (PARTITION BY account_id ORDER BY seq)) AS chain
 WHERE seq <> coalesce(before_seq, 0) + 1
    OR balance_after <> coalesce(before_balance, 0) + change
    OR created_at < before_time
 ORDER BY account_id, seq LIMIT 1;
