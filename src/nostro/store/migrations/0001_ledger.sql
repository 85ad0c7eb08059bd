-- The ledger's tables, the constraints that make a wrong row impossible, and the role the service runs as.
-- Holds afterwards: nobody but the owner of the tables can change or delete an entry, a transaction or an event,
-- and the owner is refused by the triggers.

CREATE TYPE user_role AS ENUM ('CUSTOMER', 'SYSTEM', 'OPERATOR', 'AUDITOR');
CREATE TYPE account_status AS ENUM ('ACTIVE', 'INACTIVE', 'FROZEN', 'BLOCKED', 'CLOSED');
CREATE TYPE transaction_kind AS ENUM ('TRANSFER', 'INITIAL_FUNDS');
CREATE TYPE transaction_status AS ENUM ('COMPLETED');
CREATE TYPE entry_direction AS ENUM ('DEBIT', 'CREDIT');

CREATE TABLE users (
  id            bytea            NOT NULL,
  email         text             NOT NULL,
  name          text             NOT NULL,
  password_hash text             NOT NULL,
  role          user_role        NOT NULL DEFAULT 'CUSTOMER',
  token_epoch   timestamptz      NOT NULL DEFAULT '-infinity',
  created_at    timestamptz      NOT NULL,
  updated_at    timestamptz      NOT NULL,
  CONSTRAINT users_pkey PRIMARY KEY (id),
  CONSTRAINT users_email_key UNIQUE (email),
  CONSTRAINT users_id_is_object_id CHECK (octet_length(id) = 12),
  CONSTRAINT users_email_is_canonical CHECK (email = lower(email) AND email = btrim(email))
);

CREATE TABLE revoked_tokens (
  digest     bytea       NOT NULL,
  user_id    bytea       NOT NULL,
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz NOT NULL,
  CONSTRAINT revoked_tokens_pkey PRIMARY KEY (digest),
  CONSTRAINT revoked_tokens_digest_is_sha256 CHECK (octet_length(digest) = 32)
);
CREATE INDEX revoked_tokens_expires_at_idx ON revoked_tokens (expires_at);

-- No index on a column that a transfer changes, and room on each page: updates of heads stay HOT.
CREATE TABLE accounts (
  id         bytea          NOT NULL,
  owner      bytea          NOT NULL,
  currency   text           NOT NULL,
  exponent   smallint       NOT NULL,
  status     account_status NOT NULL DEFAULT 'ACTIVE',
  settlement boolean        NOT NULL DEFAULT false,
  balance    bigint         NOT NULL DEFAULT 0,
  held       bigint         NOT NULL DEFAULT 0,
  last_seq   bigint         NOT NULL DEFAULT 0,
  floor      bigint,
  ceiling    bigint,
  name       text,
  created_at timestamptz    NOT NULL,
  updated_at timestamptz    NOT NULL,
  CONSTRAINT accounts_pkey PRIMARY KEY (id),
  CONSTRAINT accounts_owner_fkey FOREIGN KEY (owner) REFERENCES users (id),
  CONSTRAINT accounts_id_is_object_id CHECK (octet_length(id) = 12),
  CONSTRAINT accounts_currency_is_code CHECK (
    -- Cheap on purpose: every transfer's update of the head asks it again.
    octet_length(currency) = 3 AND currency COLLATE "C" BETWEEN 'AAA' AND 'ZZZ'
  ),
  CONSTRAINT accounts_exponent_is_small CHECK (exponent BETWEEN 0 AND 4),
  CONSTRAINT accounts_floor_unless_settlement CHECK (settlement OR floor IS NOT NULL),
  CONSTRAINT accounts_not_below_floor CHECK (floor IS NULL OR balance - held >= floor),
  CONSTRAINT accounts_not_above_ceiling CHECK (ceiling IS NULL OR balance <= ceiling),
  CONSTRAINT accounts_held_not_negative CHECK (held >= 0),
  CONSTRAINT accounts_last_seq_not_negative CHECK (last_seq >= 0),
  CONSTRAINT accounts_closed_is_empty CHECK (status <> 'CLOSED' OR (balance = 0 AND held = 0))
) WITH (fillfactor = 60);
CREATE INDEX accounts_owner_idx ON accounts (owner, created_at, id);
CREATE UNIQUE INDEX accounts_one_settlement_per_currency ON accounts (owner, currency) WHERE settlement;

-- The journal, first half: money that moved. Wide columns first, so that no row carries padding.
-- Users and accounts are not foreign keys: the trigger entries_balance checks a whole statement at once.
CREATE TABLE transactions (
  position        bigint             NOT NULL,
  amount          bigint             NOT NULL,
  created_at      timestamptz        NOT NULL,
  kind            transaction_kind   NOT NULL,
  status          transaction_status NOT NULL,
  id              bytea              NOT NULL,
  requested_by    bytea              NOT NULL,
  from_account    bytea              NOT NULL,
  to_account      bytea              NOT NULL,
  currency        text               NOT NULL,
  idempotency_key text               NOT NULL,
  request_digest  bytea              NOT NULL,
  CONSTRAINT transactions_pkey PRIMARY KEY (position),
  CONSTRAINT transactions_id_key UNIQUE (id),
  CONSTRAINT transactions_idempotency_key UNIQUE (requested_by, kind, idempotency_key),
  CONSTRAINT transactions_position_from_one CHECK (position > 0),
  CONSTRAINT transactions_id_is_object_id CHECK (octet_length(id) = 12),
  CONSTRAINT transactions_amount_positive CHECK (amount > 0),
  CONSTRAINT transactions_two_accounts CHECK (from_account <> to_account),
  CONSTRAINT transactions_key_length CHECK (length(idempotency_key) BETWEEN 1 AND 255)
);

-- The journal, second half: anything else that happened.
CREATE TABLE events (
  position   bigint      NOT NULL,
  created_at timestamptz NOT NULL,
  kind       text        NOT NULL,
  actor      bytea,
  user_id    bytea,
  account_id bytea,
  details    jsonb       NOT NULL DEFAULT '{}',
  CONSTRAINT events_pkey PRIMARY KEY (position),
  CONSTRAINT events_position_from_one CHECK (position > 0)
);
CREATE INDEX events_user_idx ON events (user_id, kind, position) WHERE user_id IS NOT NULL;
CREATE INDEX events_account_idx ON events (account_id, position) WHERE account_id IS NOT NULL;

CREATE TABLE entries (
  seq           bigint          NOT NULL,
  position      bigint          NOT NULL,
  amount        bigint          NOT NULL,
  balance_after bigint          NOT NULL,
  created_at    timestamptz     NOT NULL,
  direction     entry_direction NOT NULL,
  account_id    bytea           NOT NULL,
  CONSTRAINT entries_pkey PRIMARY KEY (account_id, seq),
  CONSTRAINT entries_amount_positive CHECK (amount > 0),
  CONSTRAINT entries_seq_from_one CHECK (seq > 0)
);

-- One row. A writer moves it just before COMMIT, so positions are dense and in commit order.
CREATE TABLE journal_head (
  single   boolean NOT NULL DEFAULT true,
  position bigint  NOT NULL,
  CONSTRAINT journal_head_pkey PRIMARY KEY (single),
  CONSTRAINT journal_head_is_one_row CHECK (single),
  CONSTRAINT journal_head_not_negative CHECK (position >= 0)
) WITH (fillfactor = 10);
INSERT INTO journal_head (position) VALUES (0);

-- ── triggers: they refuse, they never write ────────────────────────────────────────────────────────────

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % is refused: what the journal holds is never changed', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'NS001';
END $$;

CREATE TRIGGER entries_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transactions_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON transactions
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER events_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER accounts_never_vanish BEFORE DELETE OR TRUNCATE ON accounts
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER users_never_vanish BEFORE DELETE OR TRUNCATE ON users
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER journal_head_never_vanishes BEFORE DELETE OR TRUNCATE ON journal_head
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Entries come with their transaction and the new heads in ONE statement, or not at all. Checked once per
-- statement, for all its rows: every entry has its transaction and an account of that currency; debits and
-- credits of a transaction are equal and are its amount; no head lags behind or contradicts an entry.
CREATE FUNCTION entries_must_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM written w
      LEFT JOIN transactions t ON t.position = w.position
      LEFT JOIN accounts a ON a.id = w.account_id AND a.currency = t.currency
     GROUP BY w.position, t.amount
    HAVING count(a.id) <> count(*)
        OR bool_or(w.seq > a.last_seq OR (w.seq = a.last_seq AND w.balance_after <> a.balance))
        OR sum(CASE w.direction WHEN 'DEBIT' THEN w.amount END) IS DISTINCT FROM t.amount
        OR sum(CASE w.direction WHEN 'CREDIT' THEN w.amount END) IS DISTINCT FROM t.amount
  ) THEN
    RAISE EXCEPTION 'entries are refused: without their transaction, not balanced, or not what the heads say'
      USING ERRCODE = 'NS002';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER entries_balance AFTER INSERT ON entries REFERENCING NEW TABLE AS written
  FOR EACH STATEMENT EXECUTE FUNCTION entries_must_balance();

-- ── the role the service runs as: it may add to the journal, never change it ─────────────────────────────

GRANT USAGE ON SCHEMA public TO nostro_runtime;
GRANT SELECT, INSERT ON entries, transactions, events TO nostro_runtime;
GRANT SELECT, INSERT, UPDATE ON accounts, users TO nostro_runtime;
GRANT SELECT, UPDATE ON journal_head TO nostro_runtime;
GRANT SELECT, INSERT, DELETE ON revoked_tokens TO nostro_runtime;
