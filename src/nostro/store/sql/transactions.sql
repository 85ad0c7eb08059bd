-- Reading transactions back.

-- name: transaction_seen_by
-- One transaction, if $2 asked for it or owns one of its accounts; owners' names go to both sides.
SELECT r.*, f.owner AS from_owner, g.owner AS to_owner,
       fu.name AS from_name, fu.email AS from_email, gu.name AS to_name, gu.email AS to_email
  FROM transactions t
  JOIN transaction_rows r ON r.position = t.position
  JOIN accounts f ON f.id = t.from_account
  JOIN accounts g ON g.id = t.to_account
  JOIN users fu ON fu.id = f.owner
  JOIN users gu ON gu.id = g.owner
 WHERE t.id = $1
   AND ($2::bytea IS NULL OR $2 IN (t.requested_by, f.owner, g.owner)
        OR EXISTS (SELECT FROM legs l JOIN accounts a ON a.id IN (l.from_account, l.to_account)
                    WHERE l.position = t.position AND a.owner = $2));

-- name: transactions_about
-- The captures, voids, reversals … of the transaction at position $1, in order.
SELECT r.* FROM transactions t JOIN transaction_rows r ON r.position = t.position
 WHERE t.parent = $1 ORDER BY t.position;

-- name: accounts_of_transaction
-- Every account of the transaction $1; they never change, so no lock is needed.
SELECT a.account_id
  FROM transactions t
 CROSS JOIN LATERAL (SELECT t.from_account AS account_id UNION SELECT t.to_account
                      UNION SELECT l.from_account FROM legs l WHERE l.position = t.position
                      UNION SELECT l.to_account FROM legs l WHERE l.position = t.position) AS a
 WHERE t.id = $1;

-- name: transactions_by_key
SELECT r.* FROM transactions t JOIN transaction_rows r ON r.position = t.position
 WHERE t.requested_by = $1 AND t.operation = ANY (enum_range(NULL::operation)) AND t.idempotency_key = $2
 ORDER BY t.position;

-- name: page_of_transactions
-- The newest transactions of the accounts $1 (all of one owner), $2 of them after skipping $3. Each account's
-- newest entries come from its own index, so a page costs the pages before it, never the whole ledger.
SELECT r.*, f.owner AS from_owner, g.owner AS to_owner,
       fu.name AS from_name, fu.email AS from_email, gu.name AS to_name, gu.email AS to_email
  FROM (SELECT DISTINCT newest.position
          FROM unnest($1::bytea[]) AS own (id),
               LATERAL (SELECT e.position FROM entries e WHERE e.account_id = own.id
                         ORDER BY e.seq DESC LIMIT $2::bigint + $3::bigint) AS newest
         ORDER BY newest.position DESC
         LIMIT $2 OFFSET $3) AS page
  JOIN transaction_rows r ON r.position = page.position
  JOIN accounts f ON f.id = r.from_account
  JOIN accounts g ON g.id = r.to_account
  JOIN users fu ON fu.id = f.owner
  JOIN users gu ON gu.id = g.owner
 ORDER BY r.position DESC;

-- name: count_transactions
-- Entries of the accounts $1, those of a transaction between two of them counted once.
SELECT (SELECT coalesce(sum(last_seq), 0)::bigint FROM accounts WHERE id = ANY($1::bytea[]))
     - CASE WHEN cardinality($1::bytea[]) < 2 THEN 0 ELSE (
         SELECT count(*) FROM entries e JOIN transactions t ON t.position = e.position
          WHERE e.account_id = ANY($1::bytea[]) AND e.direction = 'DEBIT'
            AND t.to_account = ANY($1::bytea[])) END AS total;
