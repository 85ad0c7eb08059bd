-- Followers: what happens after a commit, each at its own place in the journal (ledger/events.py, followers/).
-- Holds afterwards: nothing here is part of the truth. Every row can be made anew by replaying the journal.

-- Which ledger an event comes from: positions alone would be the same in every ledger that sends to one receiver.
CREATE TABLE identity (
  single boolean NOT NULL DEFAULT true,
  id     uuid    NOT NULL DEFAULT gen_random_uuid(),
  CONSTRAINT identity_pkey PRIMARY KEY (single),
  CONSTRAINT identity_is_one_row CHECK (single)
);
INSERT INTO identity DEFAULT VALUES;

-- `position` is the last one that was turned into deliveries, or published. The lease is of those that publish in
-- order: whoever holds it carries its fence, and a cursor moves only under the newest fence.
CREATE TABLE followers (
  name        text        NOT NULL,
  position    bigint      NOT NULL,
  fence       bigint      NOT NULL DEFAULT 0,
  holder      text,
  lease_until timestamptz NOT NULL DEFAULT '-infinity',
  last_error  text,
  failed_at   timestamptz,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT followers_pkey PRIMARY KEY (name),
  CONSTRAINT followers_name_is_plain CHECK (name COLLATE "C" ~ '^[a-z][a-z0-9_]{0,39}$'),
  CONSTRAINT followers_position_not_negative CHECK (position >= 0)
) WITH (fillfactor = 50);

CREATE TYPE delivery_status AS ENUM ('PENDING', 'SENT', 'SET_ASIDE');

-- What one event became for one target. A claim raises `fence` and has an end, so that a delivery whose sender is gone
-- is anybody's again; a mark counts only under the fence of the latest claim. No index on what a claim changes, and
-- room on each page: claims stay HOT.
CREATE TABLE deliveries (
  position      bigint          NOT NULL,
  due_at        timestamptz     NOT NULL DEFAULT clock_timestamp(),
  created_at    timestamptz     NOT NULL DEFAULT clock_timestamp(),
  claimed_until timestamptz     NOT NULL DEFAULT '-infinity',
  sent_at       timestamptz,
  fence         bigint          NOT NULL DEFAULT 0,
  attempts      integer         NOT NULL DEFAULT 0,
  status        delivery_status NOT NULL DEFAULT 'PENDING',
  follower      text            NOT NULL,
  target        text            NOT NULL,
  last_error    text,
  payload       json            NOT NULL,
  CONSTRAINT deliveries_pkey PRIMARY KEY (follower, position, target),
  CONSTRAINT deliveries_target_length CHECK (length(target) BETWEEN 1 AND 500),
  CONSTRAINT deliveries_sent_when CHECK ((status = 'SENT') = (sent_at IS NOT NULL))
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
-- By target first: one claim takes a few of each, so that no target waits for the backlog of another.
CREATE INDEX deliveries_pending_idx ON deliveries (follower, target, due_at) WHERE status = 'PENDING';
CREATE INDEX deliveries_set_aside_idx ON deliveries (follower, position) WHERE status = 'SET_ASIDE';
-- Rows come in order of time, so that the sweep of old ones needs no more than this.
CREATE INDEX deliveries_created_at_idx ON deliveries USING brin (created_at);

-- The entries of a run of positions, for whoever follows the journal. Rows arrive in this order, so a summary of a few
-- pages at a time is enough: it costs a transfer nothing, where an index of every entry took 40 bytes and its time.
CREATE INDEX entries_position_idx ON entries USING brin (position) WITH (pages_per_range = 16, autosummarize = on);

-- The last seq of an account's entries at or before a position; 0 when there is none. Positions rise within an
-- account, so halving finds it in a few steps of the primary key.
CREATE FUNCTION last_seq_before(of_account bytea, through bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
  low  bigint := 0;
  high bigint;
  mid  bigint;
BEGIN
  SELECT last_seq INTO high FROM accounts WHERE id = of_account;
  WHILE low < high LOOP
    mid := (low + high + 1) / 2;
    IF (SELECT position FROM entries WHERE account_id = of_account AND seq = mid) <= through
    THEN low := mid;
    ELSE high := mid - 1;
    END IF;
  END LOOP;
  RETURN coalesce(low, 0);
END $$;

GRANT SELECT ON identity TO nostro_runtime;
GRANT SELECT, INSERT, UPDATE, DELETE ON followers, deliveries TO nostro_runtime;
