-- The committer's short way: decide on heads as they were last seen, and write in one statement that finds out whether
-- they still are (ledger/attempts.py, docs/decisions/0012-heads-in-memory.md). `version` is the row's xmin, which
-- every change of the row changes and a lock does not; `ctid` is where the row lies, which finds it without an index.

-- name: heads_as_they_are
-- The columns of heads come in the order of domain.account.Account.
SELECT id, owner, currency, exponent, status::text AS status, balance, held, last_seq, floor, ceiling,
       settlement, limited, updated_at, xmin AS version, ctid::text AS ctid
  FROM accounts WHERE id = ANY($1::text::bytea[]);

-- name: callers_as_they_are
SELECT id, role::text AS role, extract(epoch FROM token_epoch)::float8 AS token_epoch, xmin AS version
  FROM users WHERE id = ANY($1::text::bytea[]);

-- name: write_if_unchanged
-- Holds afterwards: what write_batch says, if every account ($4, in the order of their ids, as lock_accounts takes them)
-- is where it was ($3), and it and every caller ($9, in the order of their ids) is at the version that the batch was
-- decided on, no token of $11 is revoked, no hold on the accounts $12 is expired or about to, and the keys $32 of refused
-- requests stand for nothing; otherwise nothing (refuse_stale raises). `still_so` looks when the accounts are locked, not
-- before. A key of an accepted request that is taken is refused by its constraint. An account that a refusal was decided
-- on is written as it was, which locks it like the others. $1 is the latest time any of the accounts was moved at, which
-- nothing may be written before. The accounts come first and journal_head last, as everywhere.
-- Arrays are unnested in a SELECT list, side by side, and what is one for all rows is asked for by a subquery, once: an
-- array in FROM is copied before it is read, and a join with one row costs every row. An eighth of all that a batch takes.
WITH clock AS MATERIALIZED (
  SELECT greatest(clock_timestamp(), $1::timestamptz) AS moment
), moved AS (
  UPDATE accounts a
     SET balance = n.balance, held = n.held, last_seq = n.last_seq,
         updated_at = CASE WHEN n.last_seq = a.last_seq AND n.held = a.held THEN a.updated_at
                           ELSE (SELECT moment FROM clock) END
    FROM (SELECT unnest($4::text::bytea[]) AS id, unnest($2::text::xid[]) AS version,
                 unnest($5::text::bigint[]) AS balance, unnest($6::text::bigint[]) AS held,
                 unnest($7::text::bigint[]) AS last_seq, unnest($3::text::tid[]) AS ctid) AS n
   WHERE a.ctid = n.ctid AND a.id = n.id AND a.xmin = n.version
  RETURNING a.ctid
), checked AS MATERIALIZED (
  SELECT CASE WHEN (SELECT count(*) FROM moved) = cardinality($4::text::bytea[])
              THEN still_so($9::text::bytea[], $10::text::xid[], $11::text::bytea[], $12::text::bytea[],
                            (SELECT moment FROM clock), $32::text::bytea[], $33::text::operation[], $34::text::text[])
              ELSE refuse_stale() END AS unchanged
), head AS (
  UPDATE journal_head SET position = position + $8 WHERE single AND (SELECT unchanged FROM checked)
  RETURNING position - $8 AS before
), asked AS MATERIALIZED (
  SELECT generate_series(1, $8) AS nth,
         unnest($13::text::bytea[]) AS id,
         unnest($14::text::transaction_kind[]) AS kind,
         unnest($15::text::operation[]) AS operation,
         unnest($16::text::bytea[]) AS requested_by,
         unnest($17::text::text[]) AS idempotency_key,
         unnest($18::text::bytea[]) AS request_digest,
         unnest($19::text::bytea[]) AS from_account,
         unnest($20::text::bytea[]) AS to_account,
         unnest($21::text::bigint[]) AS amount,
         unnest($22::text::text[]) AS currency,
         unnest($23::text::bigint[]) AS debit_seq,
         unnest($24::text::bigint[]) AS debited_to,
         unnest($25::text::bigint[]) AS credit_seq,
         unnest($26::text::bigint[]) AS credited_to,
         unnest($27::text::bigint[]) AS held_after,
         unnest($28::text::bigint[]) AS expires_in,
         unnest($29::text::text[]) AS description,
         unnest($30::text::text[]) AS reference,
         unnest($31::text::text[]) AS metadata
), booked AS (
  INSERT INTO transactions (position, amount, created_at, kind, operation, id, requested_by, from_account,
                            to_account, currency, idempotency_key, request_digest, held_after, expires_at,
                            description, reference, metadata)
  SELECT (SELECT before FROM head) + n.nth, n.amount, (SELECT moment FROM clock), n.kind, n.operation, n.id,
         n.requested_by, n.from_account, n.to_account, n.currency, n.idempotency_key, n.request_digest, n.held_after,
         (SELECT moment FROM clock) + n.expires_in * interval '1 second',
         n.description, n.reference, n.metadata::jsonb
    FROM asked AS n
), entered AS (
  INSERT INTO entries (seq, position, amount, balance_after, created_at, direction, account_id)
  SELECT n.debit_seq, (SELECT before FROM head) + n.nth, n.amount, n.debited_to, (SELECT moment FROM clock),
         'DEBIT'::entry_direction, n.from_account
    FROM asked AS n WHERE n.debit_seq IS NOT NULL
  UNION ALL
  SELECT n.credit_seq, (SELECT before FROM head) + n.nth, n.amount, n.credited_to, (SELECT moment FROM clock),
         'CREDIT', n.to_account
    FROM asked AS n WHERE n.credit_seq IS NOT NULL
/* holds_placed */
)
SELECT head.before, clock.moment, pg_current_xact_id()::xid AS version,
       (SELECT array_agg(moved.ctid) FROM moved)::text AS ctids
  FROM head, clock;

-- name: holds_placed
-- The part of write_if_unchanged that a batch without holds is spared: a table opened for nothing costs time, too.
), placed AS (
  INSERT INTO summaries (position, amount, status, account_id, expires_at, updated_at)
  SELECT (SELECT before FROM head) + n.nth, n.amount, 'PENDING', n.from_account,
         (SELECT moment FROM clock) + n.expires_in * interval '1 second', (SELECT moment FROM clock)
    FROM asked AS n WHERE n.kind = 'HOLD'

-- name: write_one_if_unchanged
-- Holds afterwards: what write_if_unchanged says. For a transfer that comes alone, between two accounts that hold nothing
-- ($4 to $6 and $7 to $9, in the order of their ids) and without notes; $10 to $12 are the caller and the token. Whoever
-- sends one request after the other waits for all of the statement, and arrays of one element made it 1.1 times as long.
WITH clock AS MATERIALIZED (
  SELECT greatest(clock_timestamp(), $1::timestamptz) AS moment
), moved AS (
  UPDATE accounts a
     SET balance = n.balance, last_seq = n.last_seq, updated_at = (SELECT moment FROM clock)
    FROM (VALUES ($4::bytea, ($2::text::xid[])[1], ($3::text::tid[])[1], $5::bigint, $6::bigint),
                 ($7::bytea, ($2::text::xid[])[2], ($3::text::tid[])[2], $8::bigint, $9::bigint))
           AS n (id, version, ctid, balance, last_seq)
   WHERE a.ctid = n.ctid AND a.id = n.id AND a.xmin = n.version
  RETURNING a.ctid
), checked AS MATERIALIZED (
  SELECT CASE WHEN (SELECT count(*) FROM moved) = 2
              THEN still_so(ARRAY[$10::bytea], ARRAY[$11::text::xid], ARRAY[$12::bytea], '{}', (SELECT moment FROM clock),
                            '{}', '{}', '{}')
              ELSE refuse_stale() END AS unchanged
), head AS (
  UPDATE journal_head SET position = position + 1 WHERE single AND (SELECT unchanged FROM checked)
  RETURNING position
), booked AS (
  INSERT INTO transactions (position, amount, created_at, kind, operation, id, requested_by, from_account,
                            to_account, currency, idempotency_key, request_digest)
  SELECT position, $20::bigint, (SELECT moment FROM clock), $14::text::transaction_kind, $15::text::operation,
         $13::bytea, $10, $18::bytea, $19::bytea, $21::text, $16::text, $17::bytea
    FROM head
), entered AS (
  INSERT INTO entries (seq, position, amount, balance_after, created_at, direction, account_id)
  SELECT n.seq, (SELECT position FROM head), $20, n.balance_after, (SELECT moment FROM clock), n.direction, n.account_id
    FROM (VALUES ($22::bigint, $23::bigint, 'DEBIT'::entry_direction, $18),
                 ($24::bigint, $25::bigint, 'CREDIT', $19)) AS n (seq, balance_after, direction, account_id)
)
SELECT head.position - 1 AS before, clock.moment, pg_current_xact_id()::xid AS version,
       (SELECT array_agg(moved.ctid) FROM moved)::text AS ctids
  FROM head, clock;
