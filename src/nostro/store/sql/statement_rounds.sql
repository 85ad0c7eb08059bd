-- Rounds: when a month (of UTC) is over, every account that moved in it is told of once (ledger/statement_notices.py).

-- name: begin_round
-- Of the month that is over by now; nothing if it was begun before.
INSERT INTO statement_rounds (until) VALUES (date_trunc('month', clock_timestamp(), 'UTC')) ON CONFLICT DO NOTHING;

-- name: take_round
-- The round that goes on, locked until the end of the transaction; no row when all are finished, or another process
-- has it.
SELECT until, date_trunc('month', until - interval '1 day', 'UTC') AS since, after_account
  FROM statement_rounds WHERE finished_at IS NULL
 ORDER BY until LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: accounts_in_round
-- The next $4 accounts after $1, and which of them moved between $2 and $3. Settlement accounts are the house's own.
SELECT a.id, a.owner,
       NOT a.settlement AND last_seq_at(a.id, $3::timestamptz - interval '1 microsecond')
                          > last_seq_at(a.id, $2::timestamptz - interval '1 microsecond') AS moved
  FROM accounts a WHERE a.id > $1 ORDER BY a.id LIMIT $4;

-- name: move_round
UPDATE statement_rounds
   SET after_account = $2, finished_at = CASE WHEN $3 THEN clock_timestamp() END
 WHERE until = $1;

-- name: append_statements_ready
-- One event per account at the next positions; the caller does nothing after it but COMMIT.
WITH head AS (
  UPDATE journal_head SET position = position + cardinality($1::bytea[]) WHERE single
  RETURNING position - cardinality($1::bytea[]) AS before
)
INSERT INTO events (position, created_at, kind, user_id, account_id, details)
SELECT head.before + n.nth, clock_timestamp(), 'STATEMENT_READY', n.owner, n.account, $3::jsonb
  FROM head, unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS n (account, owner, nth);
