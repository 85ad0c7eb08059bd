-- Webhooks: URLs that a user's events are sent to, and every request that was made to them.
-- Holds afterwards: a secret stands here sealed (ledger/sealing.py), never in clear.

CREATE TYPE webhook_scope AS ENUM ('OWN', 'ALL');
CREATE TYPE webhook_status AS ENUM ('ENABLED', 'DISABLED');

CREATE TABLE webhooks (
  id              bytea          NOT NULL,
  owner           bytea          NOT NULL,
  scope           webhook_scope  NOT NULL,
  status          webhook_status NOT NULL DEFAULT 'ENABLED',
  url             text           NOT NULL,
  description     text,
  event_types     text[]         NOT NULL,
  secret          text           NOT NULL,
  -- Signs beside `secret` until its end.
  previous_secret text,
  previous_until  timestamptz,
  disabled_reason text,
  -- Where the journal stood when it was made, and the last event that was queued for it since.
  starts_after    bigint         NOT NULL,
  last_position   bigint         NOT NULL,
  -- Since when nothing has arrived; nothing is sent before `paused_until`.
  failing_since   timestamptz,
  paused_until    timestamptz,
  created_at      timestamptz    NOT NULL,
  updated_at      timestamptz    NOT NULL,
  CONSTRAINT webhooks_pkey PRIMARY KEY (id),
  CONSTRAINT webhooks_owner_fkey FOREIGN KEY (owner) REFERENCES users (id),
  CONSTRAINT webhooks_id_is_object_id CHECK (octet_length(id) = 12),
  CONSTRAINT webhooks_want_something CHECK (cardinality(event_types) > 0),
  CONSTRAINT webhooks_previous_secret_ends CHECK ((previous_secret IS NULL) = (previous_until IS NULL)),
  CONSTRAINT webhooks_disabled_for_a_reason CHECK ((status = 'DISABLED') = (disabled_reason IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX webhooks_owner_idx ON webhooks (owner, created_at, id);
CREATE INDEX webhooks_of_everybody_idx ON webhooks (id) WHERE scope = 'ALL';

-- One request that was made. What the receiver said beyond its status is not kept: whoever names a URL must not
-- be able to read from here what answers there.
CREATE TABLE webhook_attempts (
  id           bytea       NOT NULL,
  webhook_id   bytea       NOT NULL,
  position     bigint      NOT NULL,
  attempt      integer     NOT NULL,
  requested_at timestamptz NOT NULL,
  duration_ms  integer,
  http_status  smallint,
  -- Why it failed; none: it was delivered. Written before the request and again after it, so that a request whose
  -- process was killed stands here, too.
  reason       text,
  CONSTRAINT webhook_attempts_pkey PRIMARY KEY (id),
  CONSTRAINT webhook_attempts_webhook_fkey FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE
);
CREATE INDEX webhook_attempts_webhook_idx ON webhook_attempts (webhook_id, requested_at DESC, id DESC);
CREATE INDEX webhook_attempts_age_idx ON webhook_attempts (requested_at);
-- For whoever looks at one webhook; a delivery's target is the webhook's id.
CREATE INDEX deliveries_of_webhook_idx ON deliveries (target, position) WHERE follower = 'webhooks';

GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks TO nostro_runtime;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_attempts TO nostro_runtime;
