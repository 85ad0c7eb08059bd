-- Every user and every account entered through the journal, once: a follower of events misses nobody.
SELECT subject AS offender, events || ' opening events in the journal' AS finding
  FROM (SELECT 'user ' || encode(u.id, 'hex') AS subject,
               (SELECT count(*) FROM events e WHERE e.user_id = u.id AND e.kind = 'USER_REGISTERED') AS events
          FROM users u
        UNION ALL
        SELECT 'account ' || encode(a.id, 'hex'),
               (SELECT count(*) FROM events e WHERE e.account_id = a.id AND e.kind = 'ACCOUNT_OPENED')
          FROM accounts a) AS openings
 WHERE events <> 1
 ORDER BY subject LIMIT 1;
