-- No prefix of an account's entries is below its floor. (A floor does not change yet; once it can, the floor
-- in force at that time is meant.)
SELECT 'account ' || encode(e.account_id, 'hex') || ' seq ' || e.seq AS offender,
       'balance ' || e.balance_after || ' is below the floor ' || a.floor AS finding
  FROM entries e JOIN accounts a ON a.id = e.account_id
 WHERE e.balance_after < a.floor
 ORDER BY e.account_id, e.seq LIMIT 1;
