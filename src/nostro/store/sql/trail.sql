-- The audit trail of an account: the events that changed it or what it may do.

-- name: account_events
-- Newest first.
SELECT position, kind, created_at, actor, details::text AS details
  FROM events
 WHERE account_id = $1 AND kind = ANY ($2::text[])
 ORDER BY position DESC LIMIT $3 OFFSET $4;
