-- Webhooks and the requests made to them. A webhook's row is locked before anything else of it changes.

-- name: insert_webhook
-- The head is locked, and its position true until the commit: what commits meanwhile comes behind, and whoever sees no
-- webhook yet passes over nothing that this one starts with.
INSERT INTO webhooks (id, owner, scope, url, description, event_types, secret, starts_after, last_position, created_at,
                      updated_at)
SELECT $1, $2, $3::text::webhook_scope, $4, $5, $6, $7, h.position, h.position, clock_timestamp(), clock_timestamp()
  FROM (SELECT position FROM journal_head WHERE single FOR NO KEY UPDATE) AS h;

-- name: position_without_webhooks
SELECT position FROM journal_head WHERE single AND NOT EXISTS (SELECT FROM webhooks);

-- name: webhook_by_id
SELECT id, owner, scope::text AS scope, status::text AS status, url, description, event_types, secret,
       previous_secret, previous_until, disabled_reason, starts_after, last_position, failing_since, paused_until,
       created_at, updated_at
  FROM webhooks WHERE id = $1;

-- name: lock_webhook
SELECT id, owner, scope::text AS scope, status::text AS status, url, description, event_types, secret,
       previous_secret, previous_until, disabled_reason, starts_after, last_position, failing_since, paused_until,
       created_at, updated_at
  FROM webhooks WHERE id = $1 FOR NO KEY UPDATE;

-- name: webhooks_of
SELECT id, owner, scope::text AS scope, status::text AS status, url, description, event_types, secret,
       previous_secret, previous_until, disabled_reason, starts_after, last_position, failing_since, paused_until,
       created_at, updated_at
  FROM webhooks WHERE owner = $1 ORDER BY created_at, id;

-- name: webhooks_for
-- Those that events of these users may concern.
SELECT id, owner, scope::text AS scope, status::text AS status, url, description, event_types, secret,
       previous_secret, previous_until, disabled_reason, starts_after, last_position, failing_since, paused_until,
       created_at, updated_at
  FROM webhooks WHERE scope = 'ALL' OR owner = ANY($1::text::bytea[]) ORDER BY id;

-- name: lock_owner_of_webhooks
-- Makes the webhooks of one user be counted and added one after the other.
SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE;

-- name: count_webhooks
SELECT count(*) FROM webhooks WHERE owner = $1;

-- name: change_webhook
-- Enabled again it starts afresh: what it failed before no longer counts.
UPDATE webhooks
   SET url = $2, description = $3, event_types = $4, status = $5::text::webhook_status, disabled_reason = $6,
       failing_since = CASE WHEN status::text = $5 THEN failing_since END,
       paused_until = CASE WHEN status::text = $5 THEN paused_until END, updated_at = clock_timestamp()
 WHERE id = $1;

-- name: rotate_webhook_secret
UPDATE webhooks
   SET secret = $2, updated_at = clock_timestamp(),
       previous_secret = CASE WHEN $3::float8 > 0 THEN secret END,
       previous_until = CASE WHEN $3::float8 > 0 THEN clock_timestamp() + make_interval(secs => $3) END
 WHERE id = $1;

-- name: delete_webhook
DELETE FROM webhooks WHERE id = $1;

-- name: note_queued
-- The last event queued for each; never backwards.
UPDATE webhooks w SET last_position = n.position
  FROM unnest($1::text::bytea[], $2::text::bigint[]) AS n (id, position)
 WHERE w.id = n.id AND w.last_position < n.position;

-- name: begin_webhook_attempt
-- Nothing when the webhook was deleted meanwhile. The log of attempts does not wait for the disk: it outlives a
-- process that is killed; what a crash of the server forgets is the last moment of it.
INSERT INTO webhook_attempts (id, webhook_id, position, attempt, requested_at, reason)
SELECT $1, w.id, $3, $4, clock_timestamp(), 'No answer was recorded: the process that asked ended'
  FROM webhooks w, set_config('synchronous_commit', 'off', true)
 WHERE w.id = $2 FOR KEY SHARE OF w;

-- name: end_webhook_attempt
UPDATE webhook_attempts a SET duration_ms = $2, http_status = $3, reason = $4
  FROM set_config('synchronous_commit', 'off', true)
 WHERE a.id = $1;

-- name: note_delivered
UPDATE webhooks SET failing_since = NULL, paused_until = NULL
 WHERE id = $1 AND (failing_since IS NOT NULL OR paused_until IS NOT NULL);

-- name: note_failed
UPDATE webhooks
   SET failing_since = coalesce(failing_since, clock_timestamp()),
       paused_until = greatest(paused_until, clock_timestamp() + make_interval(secs => $2))
 WHERE id = $1 AND (failing_since IS NULL OR $2::float8 IS NOT NULL);

-- name: disable_webhook
-- One row when this call disabled it, none when it was disabled or deleted before.
UPDATE webhooks SET status = 'DISABLED', disabled_reason = $2, updated_at = clock_timestamp()
 WHERE id = $1 AND status = 'ENABLED'
RETURNING owner;

-- name: webhook_attempts
SELECT position, attempt, requested_at, duration_ms, http_status, reason
  FROM webhook_attempts
 WHERE webhook_id = $1
 ORDER BY requested_at DESC, id DESC LIMIT $2 OFFSET $3;

-- name: forget_old_webhook_attempts
-- Up to $2 of those that were made more than $1 days ago.
DELETE FROM webhook_attempts WHERE id IN (
  SELECT id FROM webhook_attempts WHERE requested_at < clock_timestamp() - make_interval(days => $1)
   ORDER BY requested_at LIMIT $2
)
RETURNING id;

-- name: webhook_deliveries
-- What became of its events, newest first.
SELECT position, status::text AS status, attempts, last_error, due_at, created_at, sent_at
  FROM deliveries
 WHERE follower = 'webhooks' AND target = $1 AND ($2::bigint IS NULL OR position = $2)
 ORDER BY position DESC LIMIT $3 OFFSET $4;
