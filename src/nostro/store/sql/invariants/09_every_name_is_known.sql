-- Whoever and whatever the journal names exists: requesters are users, both accounts are accounts.
SELECT 'position ' || t.position AS offender, 'names a user or an account that does not exist' AS finding
  FROM transactions t
 WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = t.requested_by)
    OR NOT EXISTS (SELECT FROM accounts a WHERE a.id = t.from_account)
    OR NOT EXISTS (SELECT FROM accounts a WHERE a.id = t.to_account)
 ORDER BY t.position LIMIT 1;
