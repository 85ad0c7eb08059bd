-- The committer's short way: decide on heads as they were last seen, and write in one statement that finds out whether
-- they still are (ledger/attempts.py, docs/decisions/0012-heads-in-memory.md). `version` is the row's xmin, which
-- every change of the row changes and a lock does not.

-- name: heads_as_they_are
-- The columns of heads come in the order of domain.account.Account.
SELECT id, owner, currency, exponent, status::text AS status, balance, held, last_seq, floor, ceiling,
       settlement, limited, updated_at, xmin AS version
  FROM accounts WHERE id = ANY($1::text::bytea[]);

-- name: callers_as_they_are
SELECT id, role::text AS role, extract(epoch FROM token_epoch)::float8 AS token_epoch, xmin AS version
  FROM users WHERE id = ANY($1::text::bytea[]);

-- name: write_if_unchanged
-- Holds afterwards: what write_batch says, if every account ($2, in the order of their ids, as lock_accounts takes them)
-- and every caller ($8, in the order of their ids) is at the version that the batch was decided on, no token of $10 is revoked, no hold on the
-- accounts $11 is expired or about to, and the keys $31 of refused requests stand for nothing; otherwise nothing
-- (refuse_stale raises). `still_so` looks when the accounts are locked, not before. A key of an accepted request that is taken is refused by its constraint. An account that a
-- refusal was decided on is written as it was, which locks it like the others. $1 is the latest time any of the accounts
-- was moved at, which nothing may be written before. The accounts come first and journal_head last, as everywhere.
WITH clock AS MATERIALIZED (
  SELECT greatest(clock_timestamp(), $1::timestamptz) AS moment
), moved AS (
  UPDATE accounts a
     SET balance = n.balance, held = n.held, last_seq = n.last_seq,
         updated_at = CASE WHEN n.last_seq = a.last_seq AND n.held = a.held THEN a.updated_at ELSE clock.moment END
    FROM clock, unnest($2::text::bytea[], $3::text::xid[], $4::text::bigint[], $5::text::bigint[], $6::text::bigint[])
           AS n (id, version, balance, held, last_seq)
   WHERE a.id = n.id AND a.xmin = n.version
  RETURNING 1
), checked AS MATERIALIZED (
  SELECT CASE WHEN (SELECT count(*) FROM moved) = cardinality($2::text::bytea[])
              THEN still_so($8::text::bytea[], $9::text::xid[], $10::text::bytea[], $11::text::bytea[],
                            (SELECT moment FROM clock), $31::text::bytea[], $32::text::operation[], $33::text::text[])
              ELSE refuse_stale() END AS unchanged
), head AS (
  UPDATE journal_head SET position = position + $7 WHERE single AND (SELECT unchanged FROM checked)
  RETURNING position - $7 AS before
), asked AS MATERIALIZED (
  SELECT * FROM unnest($12::text::bytea[], $13::text::transaction_kind[], $14::text::operation[], $15::text::bytea[],
                       $16::text::text[], $17::text::bytea[], $18::text::bytea[], $19::text::bytea[],
                       $20::text::bigint[], $21::text::text[], $22::text::bigint[], $23::text::bigint[],
                       $24::text::bigint[], $25::text::bigint[], $26::text::bigint[], $27::text::bigint[],
                       $28::text::text[], $29::text::text[], $30::text::text[])
         WITH ORDINALITY AS n (id, kind, operation, requested_by, idempotency_key, request_digest, from_account,
                               to_account, amount, currency, debit_seq, debited_to, credit_seq, credited_to, held_after,
                               expires_in, description, reference, metadata, nth)
), booked AS (
  INSERT INTO transactions (position, amount, created_at, kind, operation, id, requested_by, from_account,
                            to_account, currency, idempotency_key, request_digest, held_after, expires_at,
                            description, reference, metadata)
  SELECT head.before + n.nth, n.amount, clock.moment, n.kind, n.operation, n.id, n.requested_by, n.from_account,
         n.to_account, n.currency, n.idempotency_key, n.request_digest, n.held_after,
         clock.moment + n.expires_in * interval '1 second', n.description, n.reference, n.metadata::jsonb
    FROM head, clock, asked AS n
), entered AS (
  INSERT INTO entries (seq, position, amount, balance_after, created_at, direction, account_id)
  SELECT side.seq, head.before + n.nth, n.amount, side.balance_after, clock.moment, side.direction, side.account_id
    FROM head, clock, asked AS n,
         LATERAL (VALUES ('DEBIT'::entry_direction, n.from_account, n.debit_seq, n.debited_to),
                         ('CREDIT', n.to_account, n.credit_seq, n.credited_to))
           AS side (direction, account_id, seq, balance_after)
   WHERE side.seq IS NOT NULL
/* holds_placed */
)
SELECT head.before, clock.moment, pg_current_xact_id()::xid AS version FROM head, clock;

-- name: holds_placed
-- The part of write_if_unchanged that a batch without holds is spared: a table opened for nothing costs time, too.
), placed AS (
  INSERT INTO summaries (position, amount, status, account_id, expires_at, updated_at)
  SELECT head.before + n.nth, n.amount, 'PENDING', n.from_account, clock.moment + n.expires_in * interval '1 second',
         clock.moment
    FROM head, clock, asked AS n WHERE n.kind = 'HOLD'
