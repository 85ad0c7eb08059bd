-- The journal as followers and readers of events see it: rows of `transactions` and `events` by position.
-- Positions are dense and in commit order, so a list of positions up to the head names rows that are all committed.

-- name: journal_head
-- The last position given out, and which ledger this is.
SELECT h.position, i.id AS ledger FROM journal_head h, identity i WHERE h.single AND i.single;

-- name: transactions_at
-- Transactions at the positions $1. A row without entries has the payer's balance at that position beside it.
SELECT t.position, t.created_at, t.kind::text AS kind, t.id, t.requested_by, t.idempotency_key, t.amount,
       t.currency, f.exponent, t.from_account, t.to_account, f.owner AS from_owner, g.owner AS to_owner,
       p.id AS parent, t.released, t.held_after, t.counter_amount, t.counter_currency,
       c.exponent AS counter_exponent, t.rate, t.expires_at, t.effective_at, t.description, t.reference,
       t.metadata,
       CASE WHEN t.kind IN ('HOLD', 'VOID', 'EXPIRY') THEN (
         SELECT e.balance_after FROM entries e
          WHERE e.account_id = t.from_account AND e.seq = last_seq_before(t.from_account, t.position)
       ) END AS payer_balance
  FROM transactions t
  JOIN accounts f ON f.id = t.from_account
  JOIN accounts g ON g.id = t.to_account
  LEFT JOIN transactions p ON p.position = t.parent
  LEFT JOIN currencies c ON c.code = t.counter_currency
 WHERE t.position = ANY($1::bigint[]);

-- name: entries_at
-- Their entries, debits first. The bounds are what the index knows of.
SELECT e.position, e.account_id, a.owner, e.seq, direction_name(e.direction) AS direction, e.amount, e.balance_after,
       a.currency, a.exponent
  FROM entries e
  JOIN accounts a ON a.id = e.account_id
 WHERE e.position = ANY($1::bigint[])
   AND e.position BETWEEN (SELECT min(p) FROM unnest($1::bigint[]) AS p)
                      AND (SELECT max(p) FROM unnest($1::bigint[]) AS p)
 ORDER BY e.position, e.direction = 'CREDIT', e.account_id, e.seq;

-- name: summarize_entries
-- Whatever was written of late is found by position without reading all of it.
SELECT summarize_entries();

-- name: legs_at
-- The legs of those that have more than one.
SELECT l.position, l.leg, l.from_account, l.to_account, l.amount, l.currency, f.exponent,
       f.owner AS from_owner, g.owner AS to_owner
  FROM legs l
  JOIN accounts f ON f.id = l.from_account
  JOIN accounts g ON g.id = l.to_account
 WHERE l.position = ANY($1::bigint[])
 ORDER BY l.position, l.leg;

-- name: other_events_at
-- Everything at those positions that is not about money.
SELECT e.position, e.created_at, e.kind, e.actor, e.user_id, e.account_id, a.owner, a.currency, a.exponent,
       e.details
  FROM events e
  LEFT JOIN accounts a ON a.id = e.account_id
 WHERE e.position = ANY($1::bigint[]);

-- name: positions_of_user
-- The first $3 positions after $2 that concern the user $1: their accounts' entries and holds, and what else
-- happened to them or their accounts. Each account's rows come from its own index, whatever the ledger's size.
SELECT DISTINCT found.position FROM (
  SELECT entry.position
    FROM accounts a, LATERAL (
      SELECT e.position FROM entries e
       WHERE e.account_id = a.id AND e.seq > last_seq_before(a.id, $2)
       ORDER BY e.seq LIMIT $3) AS entry
   WHERE a.owner = $1
  UNION ALL
  SELECT paying.position
    FROM accounts a, LATERAL (
      SELECT t.position FROM transactions t
       WHERE t.from_account = a.id AND t.kind IN ('HOLD', 'EXTENSION', 'VOID', 'EXPIRY') AND t.position > $2
       ORDER BY t.position LIMIT $3) AS paying
   WHERE a.owner = $1
  UNION ALL
  SELECT receiving.position
    FROM accounts a, LATERAL (
      SELECT t.position FROM transactions t
       WHERE t.to_account = a.id AND t.kind IN ('HOLD', 'EXTENSION', 'VOID', 'EXPIRY') AND t.position > $2
       ORDER BY t.position LIMIT $3) AS receiving
   WHERE a.owner = $1
  UNION ALL
  SELECT event.position
    FROM accounts a, LATERAL (
      SELECT e.position FROM events e WHERE e.account_id = a.id AND e.position > $2
       ORDER BY e.position LIMIT $3) AS event
   WHERE a.owner = $1
  UNION ALL
  SELECT e.position FROM events e WHERE e.user_id = $1 AND e.position > $2
) AS found
ORDER BY found.position LIMIT $3;
