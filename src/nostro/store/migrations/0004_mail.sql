-- How readers want their e-mail, what waits for their digests, and the mailbox of development.
-- Holds afterwards: a digest that is closed gets no more items, so each item is told in exactly one.

CREATE TYPE mail_digest AS ENUM ('OFF', 'DAILY');

-- No row: every e-mail, at once, in the usual locale of the house.
CREATE TABLE mail_preferences (
  user_id    bytea       NOT NULL,
  locale     text,
  time_zone  text        NOT NULL DEFAULT 'UTC',
  digest     mail_digest NOT NULL DEFAULT 'OFF',
  muted      text[]      NOT NULL DEFAULT '{}',
  updated_at timestamptz NOT NULL,
  CONSTRAINT mail_preferences_pkey PRIMARY KEY (user_id),
  CONSTRAINT mail_preferences_user_fkey FOREIGN KEY (user_id) REFERENCES users (id),
  CONSTRAINT mail_preferences_muted_are_optional CHECK (
    muted <@ ARRAY['sent', 'received', 'failed', 'reversed', 'statementReady']
  )
);

CREATE TABLE mail_digests (
  user_id   bytea       NOT NULL,
  due_at    timestamptz NOT NULL,
  closed_at timestamptz,
  CONSTRAINT mail_digests_pkey PRIMARY KEY (user_id, due_at),
  CONSTRAINT mail_digests_user_fkey FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX mail_digests_due_idx ON mail_digests (due_at) WHERE closed_at IS NULL;

-- What one e-mail would have said: which event (by position), to whom as what, and the facts.
CREATE TABLE mail_digest_items (
  user_id  bytea       NOT NULL,
  due_at   timestamptz NOT NULL,
  position bigint      NOT NULL,
  target   text        NOT NULL,
  facts    jsonb       NOT NULL,
  CONSTRAINT mail_digest_items_pkey PRIMARY KEY (position, target),
  CONSTRAINT mail_digest_items_digest_fkey FOREIGN KEY (user_id, due_at) REFERENCES mail_digests (user_id, due_at)
);
CREATE INDEX mail_digest_items_digest_idx ON mail_digest_items (user_id, due_at, position);

-- Of which month every account that moved in it is told that its statement can be fetched, and how far that has come.
CREATE TABLE statement_rounds (
  until         timestamptz NOT NULL,
  after_account bytea       NOT NULL DEFAULT '',
  finished_at   timestamptz,
  CONSTRAINT statement_rounds_pkey PRIMARY KEY (until)
);

-- Filled in development only, where no e-mail leaves the machine.
CREATE TABLE captured_mails (
  number      bigint      GENERATED ALWAYS AS IDENTITY,
  message_id  text        NOT NULL,
  recipient   text        NOT NULL,
  subject     text        NOT NULL,
  message     bytea       NOT NULL,
  captured_at timestamptz NOT NULL,
  CONSTRAINT captured_mails_pkey PRIMARY KEY (number),
  CONSTRAINT captured_mails_message_id_key UNIQUE (message_id)
);

GRANT SELECT, INSERT, UPDATE ON mail_preferences, mail_digests, statement_rounds TO nostro_runtime;
GRANT SELECT, INSERT ON mail_digest_items TO nostro_runtime;
GRANT SELECT, INSERT, DELETE ON captured_mails TO nostro_runtime;
