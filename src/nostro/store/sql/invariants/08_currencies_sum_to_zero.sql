-- Money is only ever moved: the balances of a currency sum to zero, what entered standing negative on the
-- settlement accounts.
SELECT 'currency ' || currency AS offender, 'balances sum to ' || sum(balance) AS finding
  FROM accounts GROUP BY currency HAVING sum(balance) <> 0
 ORDER BY currency LIMIT 1;
