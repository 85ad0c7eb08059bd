-- Standing orders and their runs (ledger/standing_orders.py, ledger/standing_orders_runner.py).

-- name: clock
SELECT clock_timestamp();

-- name: insert_order
-- Nothing when the owner used the key before.
INSERT INTO standing_orders (
  id, owner, from_account, to_account, amount, currency, exponent, run_at, cron, every_days, every_months,
  day_of_month, time_zone, starts_at, ends_at, times, max_attempts, retry_minutes, catch_up, description, status,
  occurrence, attempts, due_at, wakes_at, idempotency_key, request, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
        $19::text::standing_order_catch_up, $20, 'ACTIVE', 1, 0, $21, $21, $22, $23::jsonb, $24, $24)
ON CONFLICT ON CONSTRAINT standing_orders_idempotency_key DO NOTHING
RETURNING id;

-- name: orders_by_id
SELECT id, owner, from_account, to_account, amount, currency, exponent, run_at, cron, every_days, every_months,
       day_of_month, time_zone, starts_at, ends_at, times, max_attempts, retry_minutes, catch_up::text AS catch_up,
       description, status::text AS status, failure_code, occurrence, attempts, due_at, wakes_at, mandate,
       idempotency_key, created_at, updated_at
  FROM standing_orders WHERE id = ANY ($1::bytea[]) ORDER BY id DESC;

-- name: order_of_key
SELECT id, request FROM standing_orders WHERE owner = $1 AND idempotency_key = $2;

-- name: lock_order
-- Comes after the lock of the paying account, and the order is read by a later statement
-- (ledger/standing_orders.py has the argument).
SELECT id FROM standing_orders WHERE id = $1 FOR NO KEY UPDATE;

-- name: orders_of
-- The newest $4 of an owner; only those before the order $2 and in the status $3, where these are given.
SELECT id FROM standing_orders
 WHERE owner = $1 AND id < coalesce($2::bytea, '\xffffffffffffffffffffffffff'::bytea)
   AND status = coalesce($3::text::standing_order_status, status)
 ORDER BY id DESC LIMIT $4;

-- name: newest_orders
-- The same, of everybody.
SELECT id FROM standing_orders
 WHERE id < coalesce($1::bytea, '\xffffffffffffffffffffffffff'::bytea)
   AND status = coalesce($2::text::standing_order_status, status)
 ORDER BY id DESC LIMIT $3;

-- name: claim_orders
-- Up to $1 orders whose time has come, for $2 seconds, each under a new mandate. Of one that somebody else left
-- unfinished the earlier mandate is revoked. Rows that another process is just claiming are passed over.
WITH due AS (
  SELECT id, owner, mandate FROM standing_orders
   WHERE status = 'ACTIVE' AND wakes_at <= now() AND (leased_until IS NULL OR leased_until <= now())
   ORDER BY wakes_at LIMIT $1
     FOR NO KEY UPDATE SKIP LOCKED
), taken_away AS (
  INSERT INTO revoked_tokens (digest, user_id, expires_at, revoked_at)
  SELECT mandate, owner, 'infinity', now() FROM due WHERE mandate IS NOT NULL
)
UPDATE standing_orders o
   SET mandate = sha256(uuid_send(gen_random_uuid())), leased_until = now() + make_interval(secs => $2)
  FROM due WHERE o.id = due.id
RETURNING o.id, o.owner, o.from_account, o.to_account, o.amount, o.currency, o.exponent, o.run_at, o.cron,
          o.every_days, o.every_months, o.day_of_month, o.time_zone, o.starts_at, o.ends_at, o.times, o.max_attempts,
          o.retry_minutes, o.catch_up::text AS catch_up, o.description, o.status::text AS status, o.failure_code,
          o.occurrence, o.attempts, o.due_at, o.wakes_at, o.mandate, o.idempotency_key, o.created_at, o.updated_at,
          clock_timestamp() AS now;

-- name: revoke_mandate
-- For ever: a process may be stopped for any length of time before it sends what it was about to send.
INSERT INTO revoked_tokens (digest, user_id, expires_at, revoked_at)
VALUES ($1, $2, 'infinity', clock_timestamp()) ON CONFLICT DO NOTHING;

-- name: save_order
-- Holds afterwards: nobody is at the order. Nothing when $2 is not its mandate (any more).
UPDATE standing_orders
   SET amount = $3, ends_at = $4, times = $5, max_attempts = $6, retry_minutes = $7,
       catch_up = $8::text::standing_order_catch_up, description = $9, status = $10::text::standing_order_status,
       failure_code = $11, occurrence = $12, attempts = $13, due_at = $14, wakes_at = $15, mandate = NULL,
       leased_until = NULL, updated_at = clock_timestamp()
 WHERE id = $1 AND mandate IS NOT DISTINCT FROM $2
RETURNING id, updated_at;

-- name: save_run
INSERT INTO standing_order_runs (order_id, occurrence, due_at, status, attempts, code, transaction_id,
                                 next_attempt_at, updated_at)
VALUES ($1, $2, $3, $4::text::standing_order_run_status, $5, $6, $7, $8, clock_timestamp())
ON CONFLICT ON CONSTRAINT standing_order_runs_pkey DO UPDATE
   SET due_at = EXCLUDED.due_at, status = EXCLUDED.status, attempts = EXCLUDED.attempts, code = EXCLUDED.code,
       transaction_id = EXCLUDED.transaction_id, next_attempt_at = EXCLUDED.next_attempt_at,
       updated_at = EXCLUDED.updated_at;

-- name: runs_of
-- Newest first; only those before the occurrence $2, where it is given.
SELECT occurrence, due_at, status::text AS status, attempts, code, transaction_id AS transaction, next_attempt_at
  FROM standing_order_runs
 WHERE order_id = $1 AND occurrence < coalesce($2::int, 2147483647)
 ORDER BY occurrence DESC LIMIT $3;

-- name: transaction_of_run
-- What an occurrence's key stands for.
SELECT id FROM transactions
 WHERE key_digest(requested_by, idempotency_key) = key_digest($1, $2) AND operation = 'TRANSFER';

-- name: any_closed
SELECT EXISTS (SELECT FROM accounts WHERE id = ANY ($1::bytea[]) AND status = 'CLOSED');
