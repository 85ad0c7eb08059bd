-- Whom the journal concerns: what live streams choose from it, without reading it whole.

-- name: concerned
-- Of the positions $1, which the journal has reached: whose accounts a transaction is about. An event row is anybody's
-- until it is read.
SELECT t.position, f.owner AS payer, g.owner AS payee
  FROM transactions t
  JOIN accounts f ON f.id = t.from_account
  JOIN accounts g ON g.id = t.to_account
 WHERE t.position = ANY($1::bigint[])
UNION ALL
SELECT l.position, f.owner, g.owner
  FROM legs l
  JOIN accounts f ON f.id = l.from_account
  JOIN accounts g ON g.id = l.to_account
 WHERE l.position = ANY($1::bigint[])
UNION ALL
SELECT e.position, NULL, NULL
  FROM events e
 WHERE e.position = ANY($1::bigint[]);
