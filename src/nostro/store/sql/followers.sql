-- Followers: their cursors, their leases and their deliveries (followers/).

-- name: look
-- Where the journal stands; the sum rises whenever a cursor is set anew.
SELECT h.position, (SELECT coalesce(sum(f.fence), 0)::bigint FROM followers f) AS replays
  FROM journal_head h WHERE h.single;

-- name: register_follower
-- A follower that is new starts at position $2, or where the journal stands now.
INSERT INTO followers (name, position)
SELECT $1, coalesce($2, h.position) FROM journal_head h WHERE h.single
ON CONFLICT (name) DO NOTHING;

-- name: take_cursor
-- The cursor, locked until the transaction ends; no row while another process is at it.
SELECT position FROM followers WHERE name = $1 FOR UPDATE SKIP LOCKED;

-- name: move_cursor
UPDATE followers SET position = $2, last_error = NULL, failed_at = NULL WHERE name = $1;

-- name: take_lease
-- Holds afterwards, if a row comes back: $2 alone may move the cursor, under the fence that comes with it, until the
-- lease ends. A lease that ran out is anybody's; taking it raises the fence, which the holder before does not know.
UPDATE followers
   SET holder = $2, fence = fence + 1, lease_until = clock_timestamp() + make_interval(secs => $3)
 WHERE name = $1 AND (lease_until < clock_timestamp() OR holder = $2)
RETURNING fence;

-- name: keep_lease
-- Where the holder of fence $2 goes on; no row when somebody else has taken over.
UPDATE followers SET lease_until = clock_timestamp() + make_interval(secs => $3)
 WHERE name = $1 AND fence = $2
RETURNING position;

-- name: give_up_lease
UPDATE followers SET lease_until = '-infinity', holder = NULL WHERE name = $1 AND fence = $2;

-- name: move_cursor_under_fence
-- From $3 to $4, unless the fence has risen or the cursor was set elsewhere since it was read.
UPDATE followers
   SET position = $4, lease_until = clock_timestamp() + make_interval(secs => $5), last_error = NULL,
       failed_at = NULL
 WHERE name = $1 AND fence = $2 AND position = $3
RETURNING true;

-- name: note_failure
UPDATE followers SET last_error = $2, failed_at = clock_timestamp() WHERE name = $1;

-- name: add_deliveries
-- A delivery that exists is met again only when its follower is replayed: then it is due once more, under the same
-- id, and whoever is sending it now will not be believed.
INSERT INTO deliveries (follower, position, target, payload)
SELECT $1, n.position, n.target, n.payload::json
  FROM unnest($2::bigint[], $3::text[], $4::text[]) AS n (position, target, payload)
ON CONFLICT (follower, position, target) DO UPDATE
   SET status = 'PENDING', due_at = clock_timestamp(), claimed_until = '-infinity', sent_at = NULL, attempts = 0,
       fence = deliveries.fence + 1, last_error = NULL, payload = excluded.payload;

-- name: set_aside_event
-- An event that could not be turned into deliveries; the follower goes on behind it.
INSERT INTO deliveries (follower, position, target, payload, status, last_error)
VALUES ($1, $2, $3, $4::json, 'SET_ASIDE', $5)
ON CONFLICT (follower, position, target) DO UPDATE
   SET status = 'SET_ASIDE', sent_at = NULL, last_error = excluded.last_error, payload = excluded.payload;

-- name: claim_deliveries
-- Holds afterwards: each row that comes back is the caller's for $5 seconds, under a fence nobody else has. At most
-- $3 in all, $4 of each target, of up to 64 targets after $2 in their order but not those in $6. `last` and `lanes`
-- tell where the next claim goes on, when fewer than $3 were found. SKIP LOCKED: processes that claim at once share,
-- and never wait. Nobody waits for the disk either: a claim or a mark that a crash of the server forgets is made
-- once more, which is a repetition at worst. The rows to be updated are named by all three columns of their key, none
-- of them a parameter: a planner that saw the table empty would go through all rows of the follower for ever.
WITH RECURSIVE relaxed AS (
  SELECT set_config('synchronous_commit', 'off', true) AS commits
), lane AS (
    (SELECT d.target, 1 AS nth FROM deliveries d
      WHERE d.follower = $1 AND d.status = 'PENDING' AND d.target > $2
      ORDER BY d.target LIMIT 1)
  UNION ALL
    SELECT next.target, lane.nth + 1
      FROM lane, LATERAL (
        SELECT d.target FROM deliveries d
         WHERE d.follower = $1 AND d.status = 'PENDING' AND d.target > lane.target
         ORDER BY d.target LIMIT 1) AS next
     WHERE lane.nth < 64
), due AS (
  SELECT one.follower, one.position, one.target
    FROM lane, LATERAL (
      SELECT d.follower, d.position, d.target FROM deliveries d
       WHERE d.follower = $1 AND d.target = lane.target AND d.status = 'PENDING' AND d.due_at <= now()
         AND d.claimed_until <= now()
       ORDER BY d.due_at LIMIT $4
         FOR UPDATE SKIP LOCKED) AS one
   WHERE lane.target <> ALL($6::text[])
   LIMIT $3
), claimed AS (
  UPDATE deliveries d
     SET fence = d.fence + 1, attempts = d.attempts + 1,
         claimed_until = clock_timestamp() + make_interval(secs => $5)
    FROM due
   WHERE d.follower = due.follower AND d.position = due.position AND d.target = due.target
  RETURNING d.position, d.target, d.payload, d.attempts, d.fence
), seen AS (
  SELECT max(lane.target) AS last, count(*) AS lanes FROM lane WHERE (SELECT count(*) FROM due) < $3
)
SELECT relaxed.commits, seen.last, seen.lanes, claimed.position, claimed.target, claimed.payload,
       claimed.attempts, claimed.fence
  FROM relaxed, seen
  LEFT JOIN claimed ON true
 ORDER BY claimed.position;

-- name: mark_deliveries
-- What became of claimed deliveries, each counted only under the fence of its claim: whoever woke up after somebody
-- else had taken over is not believed. `again_s` is how long until the next attempt of those that stay PENDING;
-- `given_back` undoes a claim that was never tried. IS TRUE keeps the planner from the index of pending rows, in
-- which it would look through all of a target's. As with a claim, nobody waits for the disk, and no column of the key
-- is a parameter.
UPDATE deliveries d
   SET status = n.status::delivery_status,
       sent_at = CASE n.status WHEN 'SENT' THEN clock_timestamp() END,
       due_at = CASE n.status WHEN 'PENDING' THEN clock_timestamp() + make_interval(secs => n.again_s)
                ELSE d.due_at END,
       claimed_until = '-infinity',
       attempts = d.attempts - CASE WHEN n.given_back THEN 1 ELSE 0 END,
       last_error = CASE WHEN n.given_back THEN d.last_error ELSE n.error END
  FROM (SELECT set_config('synchronous_commit', 'off', true) AS commits) AS relaxed,
       unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::float8[], $7::text[],
              $8::boolean[])
         AS n (follower, position, target, fence, status, again_s, error, given_back)
 WHERE relaxed.commits = 'off'
   AND d.follower = n.follower AND d.position = n.position AND d.target = n.target AND d.fence = n.fence
   AND (d.status = 'PENDING') IS TRUE
RETURNING d.position, d.target;

-- name: waiting_deliveries
-- How many are pending, counted no further than $2.
SELECT count(*) FROM (
  SELECT FROM deliveries WHERE follower = $1 AND status = 'PENDING' LIMIT $2
) AS pending;

-- name: follower_states
-- Every follower: where it stands, how far behind it is, and what became of its deliveries.
SELECT f.name, f.position, h.position - f.position AS behind,
       extract(epoch FROM clock_timestamp() - coalesce(t.created_at, e.created_at))::float8 AS behind_s,
       (SELECT count(*) FROM deliveries d WHERE d.follower = f.name AND d.status = 'PENDING') AS pending,
       (SELECT count(*) FROM deliveries d WHERE d.follower = f.name AND d.status = 'SET_ASIDE') AS set_aside,
       CASE WHEN f.lease_until > clock_timestamp() THEN f.holder END AS holder,
       coalesce(f.last_error, late.last_error) AS last_error,
       f.failed_at
  FROM followers f
  JOIN journal_head h ON h.single
  LEFT JOIN transactions t ON t.position = f.position + 1
  LEFT JOIN events e ON e.position = f.position + 1
  LEFT JOIN LATERAL (
    SELECT d.last_error FROM deliveries d
     WHERE d.follower = f.name AND d.status IN ('PENDING', 'SET_ASIDE') AND d.last_error IS NOT NULL
     ORDER BY d.position DESC LIMIT 1) AS late ON true
 ORDER BY f.name;

-- name: set_cursor
-- For a replay. The fence rises, so that whoever is publishing does not move the cursor back to where it was.
UPDATE followers SET position = $2, fence = fence + 1, lease_until = '-infinity', holder = NULL
 WHERE name = $1
RETURNING position;

-- name: failed_deliveries
-- What was set aside, and what failed and will be tried again; the oldest first.
SELECT d.position, d.target, d.status::text AS status, d.attempts, d.due_at, d.created_at, d.last_error
  FROM deliveries d
 WHERE d.follower = $1 AND (d.status = 'SET_ASIDE' OR (d.status = 'PENDING' AND d.last_error IS NOT NULL))
 ORDER BY d.position, d.target LIMIT $2;

-- name: retry_deliveries
-- Due now, with a fresh count of attempts: one delivery, or ($2 NULL) everything of the follower that was set aside.
UPDATE deliveries
   SET status = 'PENDING', due_at = clock_timestamp(), claimed_until = '-infinity', sent_at = NULL, attempts = 0,
       fence = fence + 1
 WHERE follower = $1
   AND CASE WHEN $2::bigint IS NULL THEN status = 'SET_ASIDE' ELSE position = $2 AND target = $3 END
RETURNING position;

-- name: deliveries_at
SELECT position, target FROM deliveries WHERE follower = $1 AND position = $2;

-- name: forget_old_deliveries
-- Up to $1 of those that were sent, or set aside, more than $2 and $3 days after they were made.
DELETE FROM deliveries d
 USING (SELECT o.follower, o.position, o.target FROM deliveries o
         WHERE o.created_at < clock_timestamp() - make_interval(days => least($2::int, $3::int))
           AND o.status IN ('SENT', 'SET_ASIDE')
           AND o.created_at < clock_timestamp()
               - make_interval(days => CASE o.status WHEN 'SENT' THEN $2::int ELSE $3::int END)
         LIMIT $1 FOR UPDATE SKIP LOCKED) AS old
 WHERE d.follower = old.follower AND d.position = old.position AND d.target = old.target
RETURNING d.position;
