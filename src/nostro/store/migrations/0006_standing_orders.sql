-- Standing orders: transfers that the service makes for their owners when they are due.
-- Holds afterwards: an occurrence is one row at most, and its transfer carries a key of its own, so it moves money
-- at most once whatever happens between the transfer and this record of it.

CREATE TYPE standing_order_status AS ENUM ('ACTIVE', 'PAUSED', 'COMPLETED', 'CANCELLED', 'FAILED');
CREATE TYPE standing_order_catch_up AS ENUM ('ALL', 'LATEST');
CREATE TYPE standing_order_run_status AS ENUM ('EXECUTED', 'RETRYING', 'FAILED', 'SKIPPED');

CREATE TABLE standing_orders (
  id              bytea                   NOT NULL,
  owner           bytea                   NOT NULL,
  from_account    bytea                   NOT NULL,
  to_account      bytea                   NOT NULL,
  amount          bigint                  NOT NULL,
  currency        text                    NOT NULL,
  exponent        smallint                NOT NULL,
  -- When it is due: exactly one of these four; the dates of the last two are reckoned from starts_at.
  run_at          timestamptz,
  cron            text,
  every_days      int,
  every_months    int,
  day_of_month    smallint,
  time_zone       text                    NOT NULL,
  starts_at       timestamptz             NOT NULL,
  ends_at         timestamptz,
  times           int,
  max_attempts    smallint                NOT NULL,
  retry_minutes   int                     NOT NULL,
  catch_up        standing_order_catch_up NOT NULL,
  description     text,
  status          standing_order_status   NOT NULL,
  failure_code    text,
  -- The occurrence that comes next, how often it was tried, when it is due, and when it is tried (again).
  occurrence      int                     NOT NULL,
  attempts        int                     NOT NULL,
  due_at          timestamptz,
  wakes_at        timestamptz,
  -- Who is at it: a process that finds another mandate here has lost the order to somebody else, and what it still
  -- sends is refused, because the mandate is the digest of its claims and whoever takes it away revokes them.
  mandate         bytea,
  leased_until    timestamptz,
  idempotency_key text                    NOT NULL,
  -- As it was asked for, to tell a repetition from another request under its key.
  request         jsonb                   NOT NULL,
  created_at      timestamptz             NOT NULL,
  updated_at      timestamptz             NOT NULL,
  CONSTRAINT standing_orders_pkey PRIMARY KEY (id),
  CONSTRAINT standing_orders_owner_fkey FOREIGN KEY (owner) REFERENCES users (id),
  CONSTRAINT standing_orders_from_fkey FOREIGN KEY (from_account) REFERENCES accounts (id),
  CONSTRAINT standing_orders_to_fkey FOREIGN KEY (to_account) REFERENCES accounts (id),
  CONSTRAINT standing_orders_idempotency_key UNIQUE (owner, idempotency_key),
  CONSTRAINT standing_orders_id_is_object_id CHECK (octet_length(id) = 12),
  CONSTRAINT standing_orders_amount_positive CHECK (amount > 0),
  CONSTRAINT standing_orders_two_accounts CHECK (from_account <> to_account),
  CONSTRAINT standing_orders_one_schedule CHECK (num_nonnulls(run_at, cron, every_days, every_months) = 1),
  CONSTRAINT standing_orders_steps_positive CHECK (every_days > 0 AND every_months > 0),
  CONSTRAINT standing_orders_day_of_month CHECK (
    day_of_month IS NULL OR (day_of_month BETWEEN 1 AND 31 AND every_months IS NOT NULL)
  ),
  CONSTRAINT standing_orders_counts_from_one CHECK (occurrence > 0 AND times > 0 AND max_attempts > 0),
  CONSTRAINT standing_orders_due_while_active CHECK (
    (status = 'ACTIVE') = (due_at IS NOT NULL) AND (status = 'ACTIVE') = (wakes_at IS NOT NULL)
    AND (status = 'ACTIVE' OR mandate IS NULL) AND (mandate IS NULL) = (leased_until IS NULL)
  )
) WITH (fillfactor = 80);
CREATE INDEX standing_orders_owner_idx ON standing_orders (owner, id);
CREATE INDEX standing_orders_waking_idx ON standing_orders (wakes_at) WHERE status = 'ACTIVE';

-- What became of each occurrence that was tried.
CREATE TABLE standing_order_runs (
  order_id        bytea                     NOT NULL,
  occurrence      int                       NOT NULL,
  due_at          timestamptz               NOT NULL,
  status          standing_order_run_status NOT NULL,
  attempts        int                       NOT NULL,
  code            text,
  transaction_id  bytea,
  next_attempt_at timestamptz,
  updated_at      timestamptz               NOT NULL,
  CONSTRAINT standing_order_runs_pkey PRIMARY KEY (order_id, occurrence),
  CONSTRAINT standing_order_runs_order_fkey FOREIGN KEY (order_id) REFERENCES standing_orders (id),
  CONSTRAINT standing_order_runs_tell_what_happened CHECK (
    occurrence > 0 AND attempts > 0
    AND (status = 'EXECUTED') = (transaction_id IS NOT NULL) AND (status = 'EXECUTED') = (code IS NULL)
    AND (status = 'RETRYING') = (next_attempt_at IS NOT NULL)
  )
);

GRANT SELECT, INSERT, UPDATE ON standing_orders, standing_order_runs TO nostro_runtime;
