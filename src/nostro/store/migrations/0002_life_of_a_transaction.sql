-- The life of a transaction: holds, captures, reversals, legs, exchange, limits, two axes of time.
-- Holds afterwards: the journal is as immutable as before. What became of a transaction later is told by the rows
-- that name it as their parent; `summaries` only sums them up and can be made anew from them.

ALTER TABLE transactions DISABLE TRIGGER transactions_never_change;

-- What a request asked for is the scope of its key; what the ledger did is the kind.
ALTER TYPE transaction_kind RENAME TO transaction_kind_before;
CREATE TYPE transaction_kind AS ENUM ('TRANSFER', 'INITIAL_FUNDS', 'EXCHANGE', 'HOLD', 'EXTENSION', 'CAPTURE', 'VOID',
                                      'EXPIRY', 'REVERSAL');
CREATE TYPE operation AS ENUM ('TRANSFER', 'INITIAL_FUNDS', 'EXCHANGE', 'EXTEND', 'CAPTURE', 'VOID', 'EXPIRE',
                               'REVERSE');
ALTER TYPE transaction_status RENAME TO transaction_status_before;
CREATE TYPE transaction_status AS ENUM ('PENDING', 'COMPLETED', 'FAILED', 'REVERSED');

ALTER TABLE transactions DROP CONSTRAINT transactions_idempotency_key;
ALTER TABLE transactions DROP COLUMN status;
ALTER TABLE transactions
  ALTER COLUMN kind TYPE transaction_kind USING kind::text::transaction_kind,
  ADD COLUMN operation operation NOT NULL DEFAULT 'TRANSFER';
UPDATE transactions SET operation = kind::text::operation WHERE kind <> 'TRANSFER';
DROP TYPE transaction_status_before, transaction_kind_before;

ALTER TABLE transactions
  ALTER COLUMN operation DROP DEFAULT,
  -- The position of the hold that is captured, voided, extended or expires, or of the movement that flows back.
  ADD COLUMN parent           bigint,
  -- CAPTURE: the rest of the hold that it let go. VOID and EXPIRY let go their whole amount.
  ADD COLUMN released         bigint,
  -- What the payer's account held after this row; only where the row changed it.
  ADD COLUMN held_after       bigint,
  -- A REVERSAL forced by an operator: the floor it gave to the account that had spent the money.
  ADD COLUMN floor_after      bigint,
  -- EXCHANGE: what arrived, and at which rate (units of counter_currency for one of currency).
  ADD COLUMN counter_amount   bigint,
  ADD COLUMN counter_currency text,
  ADD COLUMN rate             numeric,
  ADD COLUMN expires_at       timestamptz,
  -- When it happened, where that is earlier than when it was recorded.
  ADD COLUMN effective_at     timestamptz,
  ADD COLUMN description      text,
  ADD COLUMN reference        text,
  ADD COLUMN metadata         jsonb,
  ADD CONSTRAINT transactions_idempotency_key UNIQUE (requested_by, operation, idempotency_key),
  ADD CONSTRAINT transactions_story_is_sound CHECK (
    (kind IN ('EXTENSION', 'CAPTURE', 'VOID', 'EXPIRY', 'REVERSAL')) = (parent IS NOT NULL)
    AND (parent IS NULL OR parent < position)
    AND (released IS NULL OR released > 0)
    AND (held_after IS NULL OR held_after >= 0)
    AND (counter_amount IS NULL OR counter_amount > 0)
    AND (effective_at IS NULL OR effective_at < created_at)
  );
CREATE INDEX transactions_parent_idx ON transactions (parent, position) WHERE parent IS NOT NULL;
-- Rows without entries are found by account here; all others by the entries of the account.
CREATE INDEX transactions_without_entries_from_idx ON transactions (from_account, position)
  WHERE kind IN ('HOLD', 'EXTENSION', 'VOID', 'EXPIRY');
CREATE INDEX transactions_without_entries_to_idx ON transactions (to_account, position)
  WHERE kind IN ('HOLD', 'EXTENSION', 'VOID', 'EXPIRY');
CREATE INDEX transactions_reference_idx ON transactions (reference, position) WHERE reference IS NOT NULL;
CREATE INDEX transactions_metadata_idx ON transactions USING gin (metadata jsonb_path_ops) WHERE metadata IS NOT NULL;

ALTER TABLE transactions ENABLE TRIGGER transactions_never_change;

-- The legs of a transaction that has more than one; that of an ordinary one is told by its own row. The legs of a
-- reversal carry the numbers of the legs they reverse.
CREATE TABLE legs (
  position     bigint   NOT NULL,
  amount       bigint   NOT NULL,
  leg          smallint NOT NULL,
  from_account bytea    NOT NULL,
  to_account   bytea    NOT NULL,
  currency     text     NOT NULL,
  CONSTRAINT legs_pkey PRIMARY KEY (position, leg),
  CONSTRAINT legs_amount_positive CHECK (amount > 0),
  CONSTRAINT legs_two_accounts CHECK (from_account <> to_account),
  CONSTRAINT legs_from_one CHECK (leg BETWEEN 1 AND 100)
);

-- What became of a hold, and of a movement that flowed back at least in part. No row: COMPLETED, nothing reversed.
CREATE TABLE summaries (
  position       bigint             NOT NULL,
  amount         bigint             NOT NULL,
  captured       bigint             NOT NULL DEFAULT 0,
  released       bigint             NOT NULL DEFAULT 0,
  reversed       bigint             NOT NULL DEFAULT 0,
  status         transaction_status NOT NULL,
  account_id     bytea              NOT NULL,
  expires_at     timestamptz,
  failure_reason text,
  updated_at     timestamptz        NOT NULL,
  CONSTRAINT summaries_pkey PRIMARY KEY (position),
  CONSTRAINT summaries_are_sound CHECK (
    captured >= 0 AND released >= 0 AND captured + released <= amount AND reversed BETWEEN 0 AND amount
    AND (status = 'REVERSED') = (reversed = amount)
    AND (status <> 'PENDING' OR captured + released < amount)
  )
) WITH (fillfactor = 80);
CREATE INDEX summaries_of_account_expiring_idx ON summaries (account_id, expires_at)
  WHERE status = 'PENDING' AND expires_at IS NOT NULL;
CREATE INDEX summaries_expiring_idx ON summaries (expires_at) WHERE status = 'PENDING' AND expires_at IS NOT NULL;

-- Every currency that an account was opened in, and how many places it has: of ISO 4217, or registered here.
CREATE TABLE currencies (
  code       text        NOT NULL,
  exponent   smallint    NOT NULL,
  name       text,
  custom     boolean     NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT currencies_pkey PRIMARY KEY (code),
  CONSTRAINT currencies_places_key UNIQUE (code, exponent),
  CONSTRAINT currencies_code_is_plain CHECK (code COLLATE "C" ~ '^[A-Z][A-Z0-9]{2,11}$'),
  CONSTRAINT currencies_exponent_is_small CHECK (exponent BETWEEN 0 AND 12)
);
INSERT INTO currencies (code, exponent) SELECT DISTINCT currency, exponent FROM accounts;

ALTER TABLE accounts
  DROP CONSTRAINT accounts_currency_is_code,
  DROP CONSTRAINT accounts_exponent_is_small,
  -- Whether the account has a row in `limits`, which only then is looked for.
  ADD COLUMN limited     boolean NOT NULL DEFAULT false,
  ADD COLUMN description text,
  ADD COLUMN reference   text,
  ADD COLUMN metadata    jsonb,
  ADD CONSTRAINT accounts_currency_fkey FOREIGN KEY (currency, exponent) REFERENCES currencies (code, exponent);
CREATE INDEX accounts_metadata_idx ON accounts USING gin (metadata jsonb_path_ops) WHERE metadata IS NOT NULL;
CREATE INDEX accounts_reference_idx ON accounts (reference) WHERE reference IS NOT NULL;

-- What an account may pay, and what it has paid in the hour, day and month (UTC) named beside it. Written only under
-- the lock of the account. Amounts are minor units.
CREATE TABLE limits (
  account_id   bytea       NOT NULL,
  single_limit bigint,
  day_limit    bigint,
  month_limit  bigint,
  hour_limit   bigint,
  hour_start   timestamptz NOT NULL DEFAULT '-infinity',
  hour_count   bigint      NOT NULL DEFAULT 0,
  day_start    timestamptz NOT NULL DEFAULT '-infinity',
  day_paid     bigint      NOT NULL DEFAULT 0,
  month_start  timestamptz NOT NULL DEFAULT '-infinity',
  month_paid   bigint      NOT NULL DEFAULT 0,
  CONSTRAINT limits_pkey PRIMARY KEY (account_id),
  CONSTRAINT limits_account_fkey FOREIGN KEY (account_id) REFERENCES accounts (id),
  CONSTRAINT limits_not_negative CHECK (
    single_limit >= 0 AND day_limit >= 0 AND month_limit >= 0 AND hour_limit >= 0
    AND hour_count >= 0 AND day_paid >= 0 AND month_paid >= 0
  )
) WITH (fillfactor = 60);

-- At which rate a system user exchanges, from its settlement accounts: units of `quote` for one of `base`.
CREATE TABLE rates (
  base       text        NOT NULL,
  quote      text        NOT NULL,
  rate       numeric     NOT NULL,
  maker      bytea       NOT NULL,
  updated_at timestamptz NOT NULL,
  CONSTRAINT rates_pkey PRIMARY KEY (base, quote),
  CONSTRAINT rates_two_currencies CHECK (base <> quote),
  CONSTRAINT rates_positive CHECK (rate > 0),
  CONSTRAINT rates_maker_fkey FOREIGN KEY (maker) REFERENCES users (id)
);

-- The book of a currency is closed for what happened before `closed_until`.
CREATE TABLE period_locks (
  currency     text        NOT NULL,
  closed_until timestamptz NOT NULL,
  closed_at    timestamptz NOT NULL,
  CONSTRAINT period_locks_pkey PRIMARY KEY (currency)
);
-- A handful of rows a year, in a table that has one for every account.
CREATE INDEX events_period_idx ON events (position) WHERE kind IN ('PERIOD_CLOSED', 'PERIOD_REOPENED');

ALTER TABLE entries ADD COLUMN effective_at timestamptz;
-- Few entries are recorded later than they happened; these are what the second axis of time asks for.
CREATE INDEX entries_backdated_idx ON entries (account_id, seq) WHERE effective_at IS NOT NULL;

CREATE TRIGGER legs_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON legs
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER summaries_never_vanish BEFORE DELETE OR TRUNCATE ON summaries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- As in the first step, and per currency: an exchange is two balanced halves, each of the amount its row tells.
CREATE OR REPLACE FUNCTION entries_must_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM written w
      LEFT JOIN transactions t ON t.position = w.position
      LEFT JOIN accounts a ON a.id = w.account_id
     GROUP BY w.position, a.currency, t.currency, t.amount, t.counter_currency, t.counter_amount
    HAVING count(a.id) <> count(*)
        OR bool_or(w.seq > a.last_seq OR (w.seq = a.last_seq AND w.balance_after <> a.balance))
        OR sum(CASE w.direction WHEN 'DEBIT' THEN w.amount ELSE 0 END)
           IS DISTINCT FROM CASE a.currency WHEN t.currency THEN t.amount
                                            WHEN t.counter_currency THEN t.counter_amount END
        OR sum(CASE w.direction WHEN 'CREDIT' THEN w.amount ELSE 0 END)
           IS DISTINCT FROM CASE a.currency WHEN t.currency THEN t.amount
                                            WHEN t.counter_currency THEN t.counter_amount END
  ) THEN
    RAISE EXCEPTION 'entries are refused: without their transaction, not balanced, or not what the heads say'
      USING ERRCODE = 'NS002';
  END IF;
  RETURN NULL;
END $$;

-- The last seq of an account's entries recorded at or before a moment; 0 when there is none. Times never go back
-- within an account, so halving finds it in a few steps of the primary key and needs no index by time.
CREATE FUNCTION last_seq_at(of_account bytea, moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
  low  bigint := 0;
  high bigint;
  mid  bigint;
BEGIN
  SELECT last_seq INTO high FROM accounts WHERE id = of_account;
  WHILE low < high LOOP
    mid := (low + high + 1) / 2;
    IF (SELECT created_at FROM entries WHERE account_id = of_account AND seq = mid) <= moment
    THEN low := mid;
    ELSE high := mid - 1;
    END IF;
  END LOOP;
  RETURN coalesce(low, 0);
END $$;

-- A transaction as it is read back: with its legs, the places of its currencies, what it is about and what became of
-- it. What a query does not ask for is not looked up.
CREATE VIEW transaction_rows AS
SELECT t.position, t.id, t.kind::text AS kind, t.operation::text AS operation, t.requested_by, t.idempotency_key,
       t.request_digest, t.from_account, t.to_account, t.amount, t.currency, c.exponent, t.created_at,
       t.parent, p.id AS parent_id, t.released, t.held_after, t.floor_after,
       t.counter_amount, t.counter_currency, o.exponent AS counter_exponent, t.rate,
       coalesce(s.expires_at, t.expires_at) AS expires_at, t.effective_at, t.description, t.reference, t.metadata,
       coalesce(s.status, 'COMPLETED')::text AS status, coalesce(s.captured, 0) AS captured,
       coalesce(s.released, 0) AS let_go, coalesce(s.reversed, 0) AS reversed, s.failure_reason, s.updated_at,
       (SELECT json_agg(json_build_array(l.leg, encode(l.from_account, 'hex'), encode(l.to_account, 'hex'), l.amount,
                                         l.currency) ORDER BY l.leg)
          FROM legs l WHERE l.position = t.position) AS legs
  FROM transactions t
  JOIN currencies c ON c.code = t.currency
  LEFT JOIN currencies o ON o.code = t.counter_currency
  LEFT JOIN transactions p ON p.position = t.parent
  LEFT JOIN summaries s ON s.position = t.position;

-- Every account that a transaction is about.
CREATE FUNCTION accounts_of(t transactions) RETURNS SETOF bytea LANGUAGE sql STABLE AS $$
  SELECT t.from_account UNION SELECT t.to_account
   UNION SELECT from_account FROM legs WHERE position = t.position
   UNION SELECT to_account FROM legs WHERE position = t.position
$$;

-- What an account holds at this moment: a hold whose time is over no longer counts, written or not. Small enough to
-- be taken into the query that asks, where it costs nothing for an account that holds nothing.
CREATE FUNCTION held_now(account bytea, held bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT CASE held WHEN 0 THEN 0 ELSE held - coalesce((
    SELECT sum(s.amount - s.captured - s.released)::bigint FROM summaries s
     WHERE s.account_id = account AND s.status = 'PENDING' AND s.expires_at <= statement_timestamp()), 0) END
$$;

GRANT SELECT ON transaction_rows TO nostro_runtime;
GRANT SELECT, INSERT ON legs, currencies TO nostro_runtime;
GRANT SELECT, INSERT, UPDATE ON summaries, limits, rates, period_locks TO nostro_runtime;
GRANT DELETE ON period_locks TO nostro_runtime;
