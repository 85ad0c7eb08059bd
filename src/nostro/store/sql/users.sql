-- Users, their tokens and what was said of them.

-- name: insert_user
INSERT INTO users (id, email, name, password_hash, role, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5::text::user_role, clock_timestamp(), clock_timestamp());

-- name: user_by_email
SELECT id, email, name, password_hash, role::text AS role,
       extract(epoch FROM token_epoch)::float8 AS token_epoch, created_at FROM users WHERE email = $1;

-- name: user_by_id
SELECT id, email, name, password_hash, role::text AS role,
       extract(epoch FROM token_epoch)::float8 AS token_epoch, created_at FROM users WHERE id = $1;

-- name: list_users
SELECT id, email, name, '' AS password_hash, role::text AS role,
       extract(epoch FROM token_epoch)::float8 AS token_epoch, created_at
  FROM users ORDER BY created_at, id LIMIT $1;

-- name: session
-- The user of a verified token, and whether that token was revoked; no row when the user is gone.
SELECT u.id, u.email, u.name, '' AS password_hash, u.role::text AS role, u.created_at,
       extract(epoch FROM u.token_epoch)::float8 AS token_epoch,
       EXISTS (SELECT FROM revoked_tokens r WHERE r.digest = $2) AS revoked
  FROM users u WHERE u.id = $1;

-- name: void_tokens
-- Which of the tokens (user, digest, Unix time of issue) stand for nobody any more, numbered from 1.
SELECT asked.nth
  FROM unnest($1::text::bytea[], $2::text::bytea[], $3::float8[]) WITH ORDINALITY
         AS asked (user_id, digest, issued_at, nth)
  LEFT JOIN users u ON u.id = asked.user_id
 WHERE u.id IS NULL
    OR asked.issued_at < extract(epoch FROM u.token_epoch)::float8
    OR EXISTS (SELECT FROM revoked_tokens r WHERE r.digest = asked.digest);

-- name: revoke_token
INSERT INTO revoked_tokens (digest, user_id, expires_at, revoked_at)
VALUES ($1, $2, to_timestamp($3::float8), clock_timestamp())
ON CONFLICT DO NOTHING;

-- name: forget_expired_tokens
-- A token past its expiry is refused without this row.
DELETE FROM revoked_tokens WHERE expires_at < clock_timestamp() - interval '1 hour';

-- name: set_password
-- Holds afterwards: every token issued until now is void. Rounded up to the whole second, the resolution of
-- a token's time of issue, so that none slips through.
UPDATE users
   SET password_hash = $2, updated_at = clock_timestamp(),
       token_epoch = date_trunc('second', clock_timestamp()) + interval '1 second'
 WHERE id = $1 AND password_hash = $3
RETURNING id;

-- name: user_of_reset
-- The user who asked for the reset at position $1, if that was no more than $2 minutes ago and no password of theirs was
-- set since: a wish is good for one change, whichever link made it.
SELECT u.id, u.email, u.name, u.password_hash, u.role::text AS role,
       extract(epoch FROM u.token_epoch)::float8 AS token_epoch, u.created_at
  FROM events e JOIN users u ON u.id = e.user_id
 WHERE e.position = $1 AND e.kind = 'PASSWORD_RESET_REQUESTED'
   AND e.created_at > clock_timestamp() - make_interval(mins => $2)
   AND NOT EXISTS (SELECT FROM events c WHERE c.user_id = e.user_id AND c.kind = 'PASSWORD_CHANGED'
                                          AND c.position > e.position);
