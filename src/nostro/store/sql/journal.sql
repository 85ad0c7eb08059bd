-- The committer's statements (ledger/committer.py). Each runs once per batch, whatever its size. Arrays come as
-- array literals in text: the driver looks at every element of a real array three times.

-- name: lock_accounts
-- Holds afterwards: every account of the batch is locked until the end of the transaction, taken in one order
-- by every writer, so that no two writers wait for each other. The lock and the head are one statement: a row
-- that had to be waited for is read again in its newest version. FOR NO KEY UPDATE lets key-share locks pass.
-- The columns of heads come in the order of domain.account.Account.
SELECT id, owner, currency, exponent, status::text AS status, balance, held, last_seq, floor, ceiling,
       settlement, limited, updated_at
  FROM accounts
 WHERE id = ANY($1::text::bytea[])
 ORDER BY id
   FOR NO KEY UPDATE;

-- name: lock_accounts_about
-- The same, with the accounts of the earlier transactions $2, which never change.
SELECT id, owner, currency, exponent, status::text AS status, balance, held, last_seq, floor, ceiling,
       settlement, limited, updated_at
  FROM accounts
 WHERE id = ANY(ARRAY(SELECT unnest($1::text::bytea[])
                      UNION SELECT accounts_of(t.*) FROM transactions t WHERE t.id = ANY($2::text::bytea[])))
 ORDER BY id
   FOR NO KEY UPDATE;

-- name: accounts_about
-- The accounts of the earlier transactions $1.
SELECT accounts_of(t.*) AS id FROM transactions t WHERE t.id = ANY($1::text::bytea[]);

-- name: read_accounts
-- The same without a lock, for a decision that will not be written.
SELECT id, owner, currency, exponent, status::text AS status, balance, held, last_seq, floor, ceiling,
       settlement, limited, updated_at
  FROM accounts WHERE id = ANY($1::text::bytea[]);

-- name: settlement_accounts
-- The accounts that money of a system user may come from; they never change owner, so no lock is needed.
SELECT id FROM accounts WHERE owner = $1 AND settlement;

-- name: exchanging_accounts
-- The accounts that an exchange may pass through; like settlement_accounts.
SELECT id FROM accounts WHERE settlement AND owner IN (SELECT maker FROM rates);

-- name: read_facts
-- Callers, revoked tokens and earlier uses of the batch's keys, the database's clock, and whether any of the accounts
-- $6 may have holds whose time was over by then or by $7: a moment more never matters. Must be a LATER
-- statement than lock_accounts: a snapshot taken before the lock was granted would miss what the previous
-- holder of the lock committed (tests/concurrency/test_races.py::test_one_key_sent_a_hundred_times…).
SELECT 'now' AS what, NULL::bytea AS id, NULL AS role, NULL::float8 AS token_epoch,
       NULL::bigint AS position, clock_timestamp() AS moment
UNION ALL
SELECT 'caller', u.id, u.role::text, extract(epoch FROM u.token_epoch)::float8, NULL, NULL
  FROM users u WHERE u.id = ANY($1::text::bytea[])
UNION ALL
SELECT 'revoked', r.digest, NULL, NULL, NULL, NULL
  FROM revoked_tokens r WHERE r.digest = ANY($2::text::bytea[])
UNION ALL
SELECT 'recorded', NULL, NULL, NULL, t.position, NULL
  FROM unnest($3::text::bytea[], $4::text::text[], $5::text::text[])
         AS wanted (requested_by, operation, idempotency_key)
  JOIN transactions t ON key_digest(t.requested_by, t.idempotency_key)
                           = key_digest(wanted.requested_by, wanted.idempotency_key)
                     AND t.operation = wanted.operation::operation
UNION ALL
(SELECT 'expired', NULL, NULL, NULL, NULL, NULL
   FROM summaries s
  WHERE s.account_id = ANY($6::text::bytea[]) AND s.status = 'PENDING'
    AND s.expires_at <= greatest(clock_timestamp(), $7::timestamptz) + interval '1 second'
  LIMIT 1);

-- What follows is read only for a batch that needs it, under the same lock.

-- name: recorded_transactions
-- What stands under the keys of the batch.
SELECT r.* FROM unnest($1::text::bigint[]) AS wanted (position), LATERAL (
  SELECT * FROM transaction_rows r WHERE r.position = wanted.position) AS r;

-- name: read_stories
-- The earlier transactions $1 that the batch is about, with what is left of each of their legs.
SELECT r.*, (SELECT json_agg(json_build_array(l.leg, encode(l.from_account, 'hex'), encode(l.to_account, 'hex'),
                                              l.amount - coalesce(back.amount, 0), l.currency) ORDER BY l.leg)
               FROM legs l
               LEFT JOIN (SELECT b.leg, sum(b.amount)::bigint AS amount
                            FROM transactions child JOIN legs b ON b.position = child.position
                           WHERE child.parent = r.position GROUP BY b.leg) AS back ON back.leg = l.leg
              WHERE l.position = r.position) AS legs_left
  FROM unnest($1::text::bytea[]) AS wanted (id)
  JOIN transactions t ON t.id = wanted.id
  JOIN transaction_rows r ON r.position = t.position;

-- name: expired_holds
-- Holds on the accounts $1 (those that hold anything) whose time was over at $2 and whose EXPIRY is not written yet.
SELECT r.* FROM unnest($1::text::bytea[]) AS wanted (account_id)
  JOIN summaries s ON s.account_id = wanted.account_id AND s.status = 'PENDING' AND s.expires_at <= $2
  JOIN transaction_rows r ON r.position = s.position
 ORDER BY s.expires_at, s.position;

-- name: pending_holds
SELECT expires_at, amount - captured - released AS held FROM summaries
 WHERE account_id = $1 AND status = 'PENDING' AND expires_at IS NOT NULL ORDER BY expires_at;

-- name: accounts_with_expired_holds
-- Whose holds wait for their EXPIRY, the longest waiting first; at most $1 accounts.
SELECT account_id FROM (SELECT account_id, expires_at FROM summaries
                         WHERE status = 'PENDING' AND expires_at <= clock_timestamp()
                         ORDER BY expires_at LIMIT 4 * $1::bigint) AS oldest
 GROUP BY account_id ORDER BY min(expires_at) LIMIT $1;

-- name: read_limits
SELECT account_id, single_limit, day_limit, month_limit, hour_limit, hour_start, hour_count, day_start, day_paid,
       month_start, month_paid
  FROM limits WHERE account_id = ANY($1::text::bytea[]);

-- name: closed_books
-- Shared, so that no book is closed between this look and the commit
-- (tests/concurrency/test_hold_races.py::test_nothing_is_backdated_into_a_period_that_was_closed_first).
SELECT currency, closed_until FROM period_locks FOR SHARE;

-- name: read_rates
SELECT base, quote, rate, maker FROM rates;

-- name: write_batch
-- Holds afterwards: the batch's transactions have the next positions, their entries stand under them, the heads of the
-- accounts moved with them, and summaries tell what became of holds, those placed now ($36) and earlier ones ($40), and of
-- movements that flow back; all in one statement, which the trigger entries_balance insists on.
-- journal_head is the last row locked before COMMIT, by every writer: positions follow the commit order.
-- An array that is shorter than the others stands for NULLs: most transactions need the first ten only. Arrays are
-- unnested in a SELECT list because an array in FROM is copied before it is read.
WITH head AS (
  UPDATE journal_head SET position = position + cardinality($2::text::bytea[]) WHERE single
  RETURNING position - cardinality($2::text::bytea[]) AS before
), booked AS (
  INSERT INTO transactions (position, amount, created_at, kind, operation, id, requested_by, from_account,
                            to_account, currency, idempotency_key, request_digest, parent, released, held_after,
                            floor_after, counter_amount, counter_currency, rate, expires_at, effective_at,
                            description, reference, metadata)
  SELECT (SELECT before FROM head) + n.nth, n.amount, $1, n.kind, n.operation, n.id, n.requested_by, n.from_account,
         n.to_account, n.currency, n.idempotency_key, n.request_digest, n.parent, n.released, n.held_after,
         n.floor_after, n.counter_amount, n.counter_currency, n.rate, n.expires_at, n.effective_at,
         n.description, n.reference, n.metadata::jsonb
    FROM (SELECT generate_series(1, cardinality($2::text::bytea[])) AS nth,
                 unnest($2::text::bytea[]) AS id,
                 unnest($3::text::transaction_kind[]) AS kind,
                 unnest($4::text::operation[]) AS operation,
                 unnest($5::text::bytea[]) AS requested_by,
                 unnest($6::text::text[]) AS idempotency_key,
                 unnest($7::text::bytea[]) AS request_digest,
                 unnest($8::text::bytea[]) AS from_account,
                 unnest($9::text::bytea[]) AS to_account,
                 unnest($10::text::bigint[]) AS amount,
                 unnest($11::text::text[]) AS currency,
                 unnest($12::text::bigint[]) AS parent,
                 unnest($13::text::bigint[]) AS released,
                 unnest($14::text::bigint[]) AS held_after,
                 unnest($15::text::bigint[]) AS floor_after,
                 unnest($16::text::bigint[]) AS counter_amount,
                 unnest($17::text::text[]) AS counter_currency,
                 unnest($18::text::numeric[]) AS rate,
                 unnest($19::text::timestamptz[]) AS expires_at,
                 unnest($20::text::timestamptz[]) AS effective_at,
                 unnest($21::text::text[]) AS description,
                 unnest($22::text::text[]) AS reference,
                 unnest($23::text::text[]) AS metadata) AS n
), moved AS (
  UPDATE accounts a
     SET balance = n.balance, held = n.held, last_seq = n.last_seq, floor = n.floor, updated_at = $1
    FROM (SELECT unnest($24::text::bytea[]) AS id,
                 unnest($25::text::bigint[]) AS balance,
                 unnest($26::text::bigint[]) AS held,
                 unnest($27::text::bigint[]) AS last_seq,
                 unnest($28::text::bigint[]) AS floor) AS n
   WHERE a.id = n.id
), entered AS (
  INSERT INTO entries (seq, position, amount, balance_after, created_at, direction, account_id, effective_at)
  SELECT n.seq, (SELECT before FROM head) + n.nth, n.amount, n.balance_after, $1, n.direction::entry_direction,
         n.account_id, n.effective_at
    FROM (SELECT unnest($29::text::bytea[]) AS account_id,
                 unnest($30::text::bigint[]) AS seq,
                 unnest($31::text::bigint[]) AS nth,
                 unnest($32::text::text[]) AS direction,
                 unnest($33::text::bigint[]) AS amount,
                 unnest($34::text::bigint[]) AS balance_after,
                 unnest($35::text::timestamptz[]) AS effective_at) AS n
), placed AS (
  INSERT INTO summaries (position, amount, status, account_id, expires_at, updated_at)
  SELECT (SELECT before FROM head) + n.nth, n.amount, 'PENDING', n.account_id, n.expires_at, $1
    FROM (SELECT unnest($36::text::bigint[]) AS nth,
                 unnest($37::text::bigint[]) AS amount,
                 unnest($38::text::bytea[]) AS account_id,
                 unnest($39::text::timestamptz[]) AS expires_at) AS n
), summed AS (
  INSERT INTO summaries (position, amount, captured, released, reversed, status, account_id, expires_at,
                         failure_reason, updated_at)
  SELECT n.position, n.amount, n.captured, n.released, n.reversed, n.status, n.account_id, n.expires_at,
         n.failure_reason, $1
    FROM (SELECT unnest($40::text::bigint[]) AS position,
                 unnest($41::text::bigint[]) AS amount,
                 unnest($42::text::bigint[]) AS captured,
                 unnest($43::text::bigint[]) AS released,
                 unnest($44::text::bigint[]) AS reversed,
                 unnest($45::text::transaction_status[]) AS status,
                 unnest($46::text::bytea[]) AS account_id,
                 unnest($47::text::timestamptz[]) AS expires_at,
                 unnest($48::text::text[]) AS failure_reason) AS n
  ON CONFLICT (position) DO UPDATE
     SET captured = excluded.captured, released = excluded.released, reversed = excluded.reversed,
         status = excluded.status, expires_at = excluded.expires_at, failure_reason = excluded.failure_reason,
         updated_at = excluded.updated_at
)
SELECT before FROM head;

-- name: write_details
-- What few batches have: legs of their transactions, and what was counted against limits. Guarded by the locks of the
-- accounts.
WITH legs_written AS (
  INSERT INTO legs (position, leg, from_account, to_account, amount, currency)
  SELECT * FROM unnest($1::text::bigint[], $2::text::smallint[], $3::text::bytea[], $4::text::bytea[],
                       $5::text::bigint[], $6::text::text[])
)
UPDATE limits l
   SET hour_start = n.hour_start, hour_count = n.hour_count, day_start = n.day_start, day_paid = n.day_paid,
       month_start = n.month_start, month_paid = n.month_paid
  FROM unnest($7::text::bytea[], $8::text::timestamptz[], $9::text::bigint[], $10::text::timestamptz[],
              $11::text::bigint[], $12::text::timestamptz[], $13::text::bigint[])
         AS n (account_id, hour_start, hour_count, day_start, day_paid, month_start, month_paid)
 WHERE l.account_id = n.account_id;

-- name: append_event
-- One event at the next position; the caller does nothing after it but COMMIT.
WITH head AS (
  UPDATE journal_head SET position = position + 1 WHERE single RETURNING position
)
INSERT INTO events (position, created_at, kind, actor, user_id, account_id, details)
SELECT head.position, clock_timestamp(), $1, $2, $3, $4, $5::jsonb FROM head
RETURNING position;
