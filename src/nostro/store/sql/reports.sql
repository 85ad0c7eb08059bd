-- What all books together say: sums of balances, and what was recorded into periods that had been closed.

-- name: balances_by
-- What the accounts add up to by currency and, where $1 says so, by kind or by owner ($4: of these owners only): now;
-- as recorded by $2; or up to the position $3. A transaction is recorded under one time and one position, so each
-- cut has all of its entries or none, and debits equal credits. Debits are what accounts are below zero, credits
-- what they are above it. An account that has not moved since is not searched.
SELECT a.currency, a.exponent,
       CASE WHEN $1::text = 'kind' THEN a.settlement END AS settlement,
       CASE WHEN $1::text = 'owner' THEN a.owner END AS owner,
       count(*) FILTER (WHERE b.balance <> 0) AS accounts,
       coalesce(sum(-b.balance) FILTER (WHERE b.balance < 0), 0) AS debits,
       coalesce(sum(b.balance) FILTER (WHERE b.balance > 0), 0) AS credits
  FROM accounts a
 CROSS JOIN LATERAL (
    SELECT CASE
      WHEN $3::bigint IS NOT NULL THEN coalesce((
        SELECT e.balance_after FROM entries e
         WHERE e.account_id = a.id AND e.seq = (
           WITH RECURSIVE halving (low, high) AS (
             SELECT 0::bigint, a.last_seq
             UNION ALL
             SELECT CASE WHEN m.position <= $3 THEN h.mid ELSE h.low END,
                    CASE WHEN m.position <= $3 THEN h.high ELSE h.mid - 1 END
               FROM (SELECT low, high, (low + high + 1) / 2 AS mid FROM halving WHERE low < high) AS h
               JOIN entries m ON m.account_id = a.id AND m.seq = h.mid)
           SELECT low FROM halving WHERE low = high)), 0)
      WHEN $2::timestamptz < a.updated_at THEN coalesce((
        SELECT e.balance_after FROM entries e WHERE e.account_id = a.id AND e.seq = last_seq_at(a.id, $2)), 0)
      ELSE a.balance END AS balance
    ) AS b
 WHERE $4::bytea[] IS NULL OR a.owner = ANY ($4::bytea[])
 GROUP BY 1, 2, 3, 4
 ORDER BY 1, 3, 4;

-- name: owners_page
-- The next $2 users after $1 who have accounts.
SELECT u.id, u.name FROM users u
 WHERE u.id > $1 AND EXISTS (SELECT FROM accounts a WHERE a.owner = u.id)
 ORDER BY u.id LIMIT $2;

-- name: journal_now
SELECT position, clock_timestamp() AS now FROM journal_head;

-- name: restatements_page
-- Entries of $1 that were recorded behind the position $2 and are said to have happened before $3; $4 at most, of the
-- $7 late entries after the $6th of account $5, by account and seq.
SELECT e.account_id, e.seq, e.position, e.amount, e.balance_after, e.created_at, e.effective_at,
       direction_name(e.direction) AS direction, t.id AS transaction_id, t.kind::text AS kind, t.description,
       t.reference, a.owner, u.name AS owner_name, a.currency, a.exponent
  FROM (SELECT account_id, seq, position, amount, balance_after, created_at, effective_at, direction
          FROM entries
         WHERE effective_at IS NOT NULL AND (account_id, seq) > ($5::bytea, $6::bigint)
         ORDER BY account_id, seq LIMIT $7) AS e
  JOIN accounts a ON a.id = e.account_id AND a.currency = $1
  JOIN users u ON u.id = a.owner
  JOIN transactions t ON t.position = e.position
 WHERE e.position > $2 AND e.effective_at < $3
 ORDER BY e.account_id, e.seq
 LIMIT $4;

-- name: late_entry_after
-- The $3th late entry after the $2nd of account $1: where a page that looked at so many goes on.
SELECT account_id, seq FROM entries
 WHERE effective_at IS NOT NULL AND (account_id, seq) > ($1::bytea, $2::bigint)
 ORDER BY account_id, seq OFFSET $3::bigint - 1 LIMIT 1;
