-- The committer's statements (ledger/committer.py). Each runs once per batch, whatever its size. Arrays come as
-- array literals in text: the driver looks at every element of a real array three times.

-- name: lock_accounts
-- Holds afterwards: every account of the batch is locked until the end of the transaction, taken in one order
-- by every writer, so that no two writers wait for each other. The lock and the head are one statement: a row
-- that had to be waited for is read again in its newest version. FOR NO KEY UPDATE lets key-share locks pass.
SELECT id, owner, currency, exponent, status::text AS status, balance, held, last_seq, floor, ceiling,
       settlement, updated_at
  FROM accounts
 WHERE id = ANY($1::text::bytea[])
 ORDER BY id
   FOR NO KEY UPDATE;

-- name: settlement_accounts
-- The accounts that money of a system user may come from; they never change owner, so no lock is needed.
SELECT id FROM accounts WHERE owner = $1 AND settlement;

-- name: read_facts
-- Callers, revoked tokens and earlier uses of the batch's keys, and the database's clock. Must be a LATER
-- statement than lock_accounts: a snapshot taken before the lock was granted would miss what the previous
-- holder of the lock committed (tests/concurrency/test_races.py::test_one_key_sent_a_hundred_times…).
SELECT 'now' AS what, NULL::bytea AS id, NULL AS role, NULL::float8 AS token_epoch,
       NULL::bytea AS requested_by, NULL AS kind, NULL AS idempotency_key, NULL::bytea AS request_digest,
       NULL::bytea AS from_account, NULL::bytea AS to_account, NULL::bigint AS amount, NULL AS currency,
       NULL::smallint AS exponent, clock_timestamp() AS created_at, NULL::bigint AS position
UNION ALL
SELECT 'caller', u.id, u.role::text, extract(epoch FROM u.token_epoch)::float8,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
  FROM users u WHERE u.id = ANY($1::text::bytea[])
UNION ALL
SELECT 'revoked', r.digest, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
  FROM revoked_tokens r WHERE r.digest = ANY($2::text::bytea[])
UNION ALL
SELECT 'recorded', t.id, NULL, NULL, t.requested_by, t.kind::text, t.idempotency_key, t.request_digest,
       t.from_account, t.to_account, t.amount, t.currency, a.exponent, t.created_at, t.position
  FROM unnest($3::text::bytea[], $4::text::text[], $5::text::text[]) AS wanted (requested_by, kind, idempotency_key)
  JOIN transactions t ON t.requested_by = wanted.requested_by
                     AND t.operation = wanted.kind::operation
                     AND t.idempotency_key = wanted.idempotency_key
  JOIN accounts a ON a.id = t.from_account;

-- name: write_batch
-- Holds afterwards: the batch's transactions have the next positions, their entries stand under them and the
-- heads of the accounts moved with them; all in one statement, which the trigger entries_balance insists on.
-- journal_head is the last row locked before COMMIT, by every writer: positions follow the commit order.
WITH head AS (
  UPDATE journal_head SET position = position + cardinality($2::text::bytea[]) WHERE single
  RETURNING position - cardinality($2::text::bytea[]) AS before
), booked AS (
  INSERT INTO transactions (position, amount, created_at, kind, operation, id, requested_by, from_account,
                            to_account, currency, idempotency_key, request_digest)
  SELECT head.before + n.nth, n.amount, $1, n.kind::transaction_kind, n.kind::operation, n.id, n.requested_by,
         n.from_account, n.to_account, n.currency, n.idempotency_key, n.request_digest
    FROM head, unnest($2::text::bytea[], $3::text::text[], $4::text::bytea[], $5::text::text[], $6::text::bytea[], $7::text::bytea[], $8::text::bytea[],
                      $9::text::bigint[], $10::text::text[])
           WITH ORDINALITY AS n (id, kind, requested_by, idempotency_key, request_digest, from_account,
                                 to_account, amount, currency, nth)
), moved AS (
  UPDATE accounts a
     SET balance = n.balance, last_seq = n.last_seq, updated_at = $1
    FROM unnest($11::text::bytea[], $12::text::bigint[], $13::text::bigint[]) AS n (id, balance, last_seq)
   WHERE a.id = n.id
), entered AS (
  INSERT INTO entries (seq, position, amount, balance_after, created_at, direction, account_id)
  SELECT n.seq, head.before + n.nth, n.amount, n.balance_after, $1, n.direction::entry_direction, n.account_id
    FROM head, unnest($14::text::bytea[], $15::text::bigint[], $16::text::bigint[], $17::text::text[], $18::text::bigint[], $19::text::bigint[])
           AS n (account_id, seq, nth, direction, amount, balance_after)
)
SELECT before FROM head;

-- name: append_event
-- One event at the next position; the caller does nothing after it but COMMIT.
WITH head AS (
  UPDATE journal_head SET position = position + 1 WHERE single RETURNING position
)
INSERT INTO events (position, created_at, kind, actor, user_id, account_id, details)
SELECT head.position, clock_timestamp(), $1, $2, $3, $4, $5::jsonb FROM head
RETURNING position;
