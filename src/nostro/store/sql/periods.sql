-- Closing the book of a currency for what happened before a moment, and opening it again.

-- name: lock_period_locks
-- Waits for every batch that has looked at the locks (closed_books in journal.sql) to end, and keeps others from
-- looking until the transaction ends. The whole table: the row of a book that was never closed is not there to lock.
LOCK TABLE period_locks IN EXCLUSIVE MODE;

-- name: book
-- A later statement than the lock. NULL: not closed.
SELECT c.code AS currency, p.closed_until, clock_timestamp() AS now
  FROM currencies c LEFT JOIN period_locks p ON p.currency = c.code
 WHERE c.code = $1;

-- name: close_book
INSERT INTO period_locks (currency, closed_until, closed_at) VALUES ($1, $2, clock_timestamp())
ON CONFLICT (currency) DO UPDATE SET closed_until = excluded.closed_until, closed_at = excluded.closed_at
RETURNING currency, closed_until, closed_at;

-- name: reopen_book
-- As far back as $2; the time of the closing stays.
UPDATE period_locks SET closed_until = $2 WHERE currency = $1 RETURNING currency, closed_until, closed_at;

-- name: reopen_whole_book
DELETE FROM period_locks WHERE currency = $1;

-- name: closed_periods
SELECT currency, closed_until, closed_at FROM period_locks ORDER BY currency;

-- name: period_events
-- Who closed and reopened which book, newest first (events_period_idx).
SELECT e.position, e.created_at, e.kind, e.actor, u.name AS actor_name, e.details->>'currency' AS currency,
       (e.details->>'before')::timestamptz AS before, (e.details->>'after')::timestamptz AS after,
       e.details->>'reason' AS reason
  FROM events e
  LEFT JOIN users u ON u.id = e.actor
 WHERE e.kind IN ('PERIOD_CLOSED', 'PERIOD_REOPENED')
 ORDER BY e.position DESC
 LIMIT $1 OFFSET $2;

-- name: closing_of
-- The closing by which the book of $1 was first closed for everything before $2.
SELECT e.position, e.created_at, e.kind, e.actor, u.name AS actor_name, e.details->>'currency' AS currency,
       (e.details->>'before')::timestamptz AS before, (e.details->>'after')::timestamptz AS after,
       e.details->>'reason' AS reason
  FROM events e
  LEFT JOIN users u ON u.id = e.actor
 WHERE e.kind = 'PERIOD_CLOSED' AND e.details->>'currency' = $1 AND (e.details->>'after')::timestamptz >= $2
 ORDER BY e.position
 LIMIT 1;
