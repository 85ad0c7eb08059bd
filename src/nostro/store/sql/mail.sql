-- E-mail: who reads what and how, digests, and the mailbox of development.

-- name: readers
-- People with their preferences; those who never chose have none.
SELECT u.id, u.email, u.name, u.role::text AS role, p.user_id IS NOT NULL AS chose, p.locale, p.time_zone,
       p.digest::text AS digest, p.muted
  FROM users u LEFT JOIN mail_preferences p ON p.user_id = u.id
 WHERE u.id = ANY($1::bytea[]);

-- name: named_accounts
SELECT a.id, a.owner, a.name, a.currency, a.exponent, u.name AS owner_name
  FROM accounts a JOIN users u ON u.id = a.owner
 WHERE a.id = ANY($1::bytea[]);

-- name: failed_holds
-- Those of the given transactions that are holds which came to nothing. A hold that ended stays as it ended.
SELECT t.id FROM transactions t JOIN summaries s ON s.position = t.position
 WHERE t.id = ANY($1::bytea[]) AND t.kind = 'HOLD' AND s.status = 'FAILED';

-- name: mail_preferences
SELECT true AS chose, locale, time_zone, digest::text AS digest, muted FROM mail_preferences WHERE user_id = $1;

-- name: save_mail_preferences
INSERT INTO mail_preferences (user_id, locale, time_zone, digest, muted, updated_at)
VALUES ($1, $2, $3, $4::text::mail_digest, $5, clock_timestamp())
ON CONFLICT (user_id) DO UPDATE
   SET locale = excluded.locale, time_zone = excluded.time_zone, digest = excluded.digest, muted = excluded.muted,
       updated_at = excluded.updated_at;

-- name: lock_reader
-- Two changes of one reader's preferences follow each other: the second builds on the first.
SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE;

-- name: add_to_digest
-- Whether the item is in a digest afterwards, this one or (a replay) an earlier: false when this one is closed. Its row
-- stays locked until the end of the transaction, so that it is not closed before the item is in.
WITH told AS (
  SELECT FROM mail_digest_items WHERE position = $3 AND target = $4
), digest AS (
  INSERT INTO mail_digests (user_id, due_at) SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM told)
  ON CONFLICT (user_id, due_at) DO UPDATE SET due_at = excluded.due_at WHERE mail_digests.closed_at IS NULL
  RETURNING user_id, due_at
), item AS (
  INSERT INTO mail_digest_items (user_id, due_at, position, target, facts)
  SELECT user_id, due_at, $3, $4, $5::jsonb FROM digest
)
SELECT EXISTS (SELECT FROM told) OR EXISTS (SELECT FROM digest);

-- name: close_due_digests
-- Holds afterwards: those that come back get no more items, and come back to nobody else. Up to $1, those
-- due first; one that just gets an item is left for the next look.
WITH due AS (
  SELECT user_id, due_at FROM mail_digests
   WHERE closed_at IS NULL AND due_at <= clock_timestamp()
   ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
), closed AS (
  UPDATE mail_digests d SET closed_at = clock_timestamp()
    FROM due WHERE d.user_id = due.user_id AND d.due_at = due.due_at
  RETURNING d.user_id, d.due_at
)
SELECT c.user_id, c.due_at,
       (SELECT min(i.position) FROM mail_digest_items i WHERE i.user_id = c.user_id AND i.due_at = c.due_at)
         AS position
  FROM closed c;

-- name: digest_items
SELECT facts FROM mail_digest_items WHERE user_id = $1 AND due_at = $2 ORDER BY position, target;

-- name: capture_mail
-- A delivery that is made again is the mail that is there already.
INSERT INTO captured_mails (message_id, recipient, subject, message, captured_at)
VALUES ($1, $2, $3, $4, clock_timestamp())
ON CONFLICT (message_id) DO NOTHING;

-- name: forget_captured_mails
-- All but the newest $1.
DELETE FROM captured_mails
 WHERE number <= (SELECT number FROM captured_mails ORDER BY number DESC OFFSET $1 LIMIT 1);

-- name: captured_mails
SELECT number, message_id, recipient, subject, captured_at, message
  FROM captured_mails WHERE $1::text IS NULL OR recipient = $1 ORDER BY number DESC LIMIT $2;

-- name: captured_mail
SELECT number, message_id, recipient, subject, captured_at, message FROM captured_mails WHERE number = $1;
