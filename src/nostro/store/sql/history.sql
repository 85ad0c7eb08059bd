-- An account's history. Within an account `seq` is dense and both position and created_at never go back, so that
-- moments and positions become stretches of `seq` by halving, and every page is a range of the primary key.

-- name: account_span
-- The account, if $2 (NULL: whoever looks) may see it; the clock; and how many entries it has in all, before $3
-- and before $4. Times are whole microseconds.
SELECT a.id, a.owner, u.name AS owner_name, a.name, a.currency, a.exponent, clock_timestamp() AS now,
       CASE WHEN $3::timestamptz IS NULL THEN 0
            ELSE last_seq_at(a.id, $3::timestamptz - interval '1 microsecond') END AS before_since,
       CASE WHEN $4::timestamptz IS NULL THEN a.last_seq
            ELSE last_seq_at(a.id, $4::timestamptz - interval '1 microsecond') END AS before_until
  FROM accounts a
  JOIN users u ON u.id = a.owner
 WHERE a.id = $1 AND ($2::bytea IS NULL OR a.owner = $2);

-- name: entries_page
-- Entries of account $1 with seq from $2 to $3 that the filters keep, $4 at most, newest first. The filters look at
-- no more than that stretch, so a page costs the same wherever it is and however little is kept. Who stands
-- opposite: of a transaction with several legs, the n-th entry of an account belongs to the n-th leg it is in; money
-- flows back over the last leg first.
SELECT page.seq, page.position, page.amount, page.balance_after, page.created_at, page.effective_at,
       direction_name(page.direction) AS direction, page.transaction_id, page.kind::text AS kind,
       page.status::text AS status, page.description, page.reference, page.metadata::text AS metadata, page.counterparty,
       u.name AS counterparty_name
  FROM (
    SELECT e.*, t.id AS transaction_id, t.kind, coalesce(s.status, 'COMPLETED') AS status, t.description,
           t.reference, t.metadata, opposite.id AS counterparty
      FROM entries e
      JOIN transactions t ON t.position = e.position
      LEFT JOIN summaries s ON s.position = e.position
      LEFT JOIN LATERAL (
        SELECT CASE e.direction WHEN 'DEBIT' THEN l.to_account ELSE l.from_account END AS other,
               row_number() OVER (ORDER BY CASE t.kind WHEN 'REVERSAL' THEN -l.leg ELSE l.leg END) AS nth
          FROM legs l
         WHERE l.position = e.position AND e.account_id IN (l.from_account, l.to_account)
      ) AS leg ON leg.nth = 1 + (SELECT count(*) FROM entries b
                                  WHERE b.account_id = e.account_id AND b.seq BETWEEN e.seq - 100 AND e.seq - 1
                                    AND b.position = e.position)
     CROSS JOIN LATERAL (
        SELECT coalesce(leg.other, CASE e.direction WHEN 'DEBIT' THEN t.to_account ELSE t.from_account END) AS id
      ) AS opposite
     WHERE e.account_id = $1 AND e.seq BETWEEN $2 AND $3
       AND ($5::text IS NULL OR e.direction = $5::text::entry_direction)
       AND ($6::bytea IS NULL OR opposite.id = $6)
       AND ($7::bigint IS NULL OR e.amount >= $7)
       AND ($8::bigint IS NULL OR e.amount <= $8)
       AND ($9::text IS NULL OR t.kind = $9::text::transaction_kind)
       AND ($10::text IS NULL OR coalesce(s.status, 'COMPLETED') = $10::text::transaction_status)
       AND ($11::text IS NULL OR t.reference = $11)
       AND ($12::text IS NULL
            OR strpos(lower(concat_ws(E'\n', t.description, t.reference)), lower($12)) > 0)
       AND ($13::text[] IS NULL OR t.metadata @> ANY ($13::text[]::jsonb[]))
     ORDER BY e.seq DESC
     LIMIT $4
  ) AS page
  JOIN accounts a ON a.id = page.counterparty
  JOIN users u ON u.id = a.owner
 ORDER BY page.seq DESC;

-- name: balance_at
-- What the balance of account $1 was at $2 (when it happened) as far as was known at $3 (when it was recorded),
-- if $4 (NULL: whoever looks) may see it. Both moments are now, where they are NULL or later. What was recorded by
-- the earlier of the two had happened by then; what was recorded after that, up to the later, counts if it is said
-- to have happened by then (entries_backdated_idx).
SELECT a.id, a.currency, a.exponent, asked.effective_at, asked.known_at,
       coalesce((SELECT e.balance_after FROM entries e WHERE e.account_id = a.id AND e.seq = upto.happened), 0)
       + coalesce((SELECT sum(CASE e.direction WHEN 'CREDIT' THEN e.amount ELSE -e.amount END)
                     FROM entries e
                    WHERE e.account_id = a.id AND e.seq > upto.happened AND e.seq <= upto.known
                      AND e.effective_at IS NOT NULL AND e.effective_at <= asked.effective_at), 0)::bigint AS balance
  FROM (SELECT clock_timestamp() AS now) AS clock
 CROSS JOIN LATERAL (SELECT least($2::timestamptz, clock.now) AS effective_at,
                            least($3::timestamptz, clock.now) AS known_at) AS asked
  JOIN accounts a ON a.id = $1 AND ($4::bytea IS NULL OR a.owner = $4)
 CROSS JOIN LATERAL (SELECT last_seq_at(a.id, least(asked.effective_at, asked.known_at)) AS happened,
                            last_seq_at(a.id, asked.known_at) AS known) AS upto;

-- name: series_of
-- For each step between two of the moments $2 of account $1: the balance when it began and when it ended, what came
-- in and went out, and between which balances it moved. A step without entries carries the balance over.
WITH bounds AS (
  SELECT b.nth, b.moment, last_seq_at($1, b.moment - interval '1 microsecond') AS seq
    FROM unnest($2::timestamptz[]) WITH ORDINALITY AS b (moment, nth)
), steps AS (
  SELECT nth, moment AS since, seq AS before, lead(moment) OVER (ORDER BY nth) AS until,
         lead(seq) OVER (ORDER BY nth) AS last
    FROM bounds
)
SELECT s.since, s.until, coalesce(o.balance_after, 0) AS opening, coalesce(c.balance_after, 0) AS closing,
       coalesce(moved.credits, 0)::bigint AS credits, coalesce(moved.debits, 0)::bigint AS debits,
       least(moved.lowest, coalesce(o.balance_after, 0)) AS lowest,
       greatest(moved.highest, coalesce(o.balance_after, 0)) AS highest,
       s.last - s.before AS entries
  FROM steps s
  LEFT JOIN entries o ON o.account_id = $1 AND o.seq = s.before
  LEFT JOIN entries c ON c.account_id = $1 AND c.seq = s.last
 CROSS JOIN LATERAL (
    SELECT sum(e.amount) FILTER (WHERE e.direction = 'CREDIT') AS credits,
           sum(e.amount) FILTER (WHERE e.direction = 'DEBIT') AS debits,
           min(e.balance_after) AS lowest, max(e.balance_after) AS highest
      FROM entries e WHERE e.account_id = $1 AND e.seq > s.before AND e.seq <= s.last) AS moved
 WHERE s.until IS NOT NULL
 ORDER BY s.nth;

-- name: balances_around
-- What account $1 had before its entry $2, and after its entry $3.
SELECT coalesce((SELECT balance_after FROM entries WHERE account_id = $1 AND seq = $2::bigint - 1), 0) AS opening,
       coalesce((SELECT balance_after FROM entries WHERE account_id = $1 AND seq = $3::bigint), 0) AS closing;
