-- Whom the journal concerns: what live streams choose from it, without reading it whole.

-- name: concerned
-- Where the journal stands, in every row, of which there is at least one; and of the $2 positions after $1, as far as it
-- stands there: whose accounts a transaction is about. An event row is anybody's until it is read.
SELECT head.position AS head, c.position, c.payer, c.payee
  FROM journal_head head
  LEFT JOIN LATERAL (
    SELECT t.position, f.owner AS payer, g.owner AS payee
      FROM transactions t
      JOIN accounts f ON f.id = t.from_account
      JOIN accounts g ON g.id = t.to_account
     WHERE t.position > $1 AND t.position <= least(head.position, $1 + $2)
    UNION ALL
    SELECT l.position, f.owner, g.owner
      FROM legs l
      JOIN accounts f ON f.id = l.from_account
      JOIN accounts g ON g.id = l.to_account
     WHERE l.position > $1 AND l.position <= least(head.position, $1 + $2)
    UNION ALL
    SELECT e.position, NULL, NULL
      FROM events e
     WHERE e.position > $1 AND e.position <= least(head.position, $1 + $2)
  ) AS c ON true
 WHERE head.single
 ORDER BY c.position;
