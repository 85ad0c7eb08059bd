-- Reading transactions back.

-- name: transaction_seen_by
-- One transaction, if $2 asked for it or owns one of its accounts; owners' names go to both sides.
SELECT r.*, f.owner AS from_owner, g.owner AS to_owner,
       fu.name AS from_name, fu.email AS from_email, gu.name AS to_name, gu.email AS to_email
  FROM transactions t
  JOIN transaction_rows r ON r.position = t.position
  JOIN accounts f ON f.id = t.from_account
  JOIN accounts g ON g.id = t.to_account
  JOIN users fu ON fu.id = f.owner
  JOIN users gu ON gu.id = g.owner
 WHERE t.id = $1
   AND ($2::bytea IS NULL OR $2 IN (t.requested_by, f.owner, g.owner)
        OR EXISTS (SELECT FROM legs l JOIN accounts a ON a.id IN (l.from_account, l.to_account)
                    WHERE l.position = t.position AND a.owner = $2));

-- name: transactions_about
-- The captures, voids, reversals … of the transaction at position $1, in order.
SELECT r.* FROM transactions t JOIN transaction_rows r ON r.position = t.position
 WHERE t.parent = $1 ORDER BY t.position;

-- name: transactions_by_key
SELECT r.* FROM transactions t JOIN transaction_rows r ON r.position = t.position
 WHERE key_digest(t.requested_by, t.idempotency_key) = key_digest($1, $2)
 ORDER BY t.position;

-- name: page_of_transactions
-- Transactions of the accounts $1 (all of one owner) that the filters keep, newest first, $4 of them after skipping $5:
-- the newest before position $2 (NULL: of all), or the oldest after position $17 (NULL: not asked for). Three streams for
-- each account, each through its own index: its entries, its holds, and the holds that are meant for it. Of each $3 are
-- looked at, from that position on. Up to the horizon, where the first stream that has more breaks off, all streams are
-- whole, and nothing beyond it is told. So a page costs the same wherever it is. There is always a row: without a
-- position when nothing was found.
WITH own AS (
  SELECT a.id,
         greatest(
           CASE WHEN $6::timestamptz IS NULL THEN 0
                ELSE last_seq_at(a.id, $6::timestamptz - interval '1 microsecond') END,
           CASE WHEN $17::bigint IS NULL THEN 0 ELSE last_seq_before(a.id, $17) END) AS bottom,
         least(
           CASE WHEN $7::timestamptz IS NULL THEN a.last_seq
                ELSE last_seq_at(a.id, $7::timestamptz - interval '1 microsecond') END,
           CASE WHEN $2::bigint IS NULL THEN a.last_seq ELSE (
             WITH RECURSIVE halving (low, high) AS (
               SELECT 0::bigint, a.last_seq
               UNION ALL
               SELECT CASE WHEN m.position < $2 THEN h.mid ELSE h.low END,
                      CASE WHEN m.position < $2 THEN h.high ELSE h.mid - 1 END
                 FROM (SELECT low, high, (low + high + 1) / 2 AS mid FROM halving WHERE low < high) AS h
                 JOIN entries m ON m.account_id = a.id AND m.seq = h.mid)
             SELECT low FROM halving WHERE low = high) END) AS top
    FROM accounts a WHERE a.id = ANY ($1::bytea[])
), lines AS (
  SELECT own.id, 1 AS stream, e.position
    FROM own, LATERAL (SELECT e.position FROM entries e
                        WHERE $17::bigint IS NULL
                          AND e.account_id = own.id AND e.seq > own.bottom AND e.seq <= own.top
                        ORDER BY e.seq DESC LIMIT $3) AS e
  UNION ALL
  SELECT own.id, 1, e.position
    FROM own, LATERAL (SELECT e.position FROM entries e
                        WHERE $17::bigint IS NOT NULL
                          AND e.account_id = own.id AND e.seq > own.bottom AND e.seq <= own.top
                        ORDER BY e.seq LIMIT $3) AS e
  UNION ALL
  SELECT own.id, 2, placed.position
    FROM own, LATERAL (SELECT t.position FROM transactions t
                        WHERE $17::bigint IS NULL AND t.from_account = own.id AND t.kind = 'HOLD'
                          AND ($2::bigint IS NULL OR t.position < $2)
                        ORDER BY t.position DESC LIMIT $3) AS placed
  UNION ALL
  SELECT own.id, 2, placed.position
    FROM own, LATERAL (SELECT t.position FROM transactions t
                        WHERE t.from_account = own.id AND t.kind = 'HOLD' AND t.position > $17
                        ORDER BY t.position LIMIT $3) AS placed
  UNION ALL
  SELECT own.id, 3, meant.position
    FROM own, LATERAL (SELECT t.position FROM transactions t
                        WHERE $17::bigint IS NULL AND t.to_account = own.id AND t.kind = 'HOLD'
                          AND ($2::bigint IS NULL OR t.position < $2)
                        ORDER BY t.position DESC LIMIT $3) AS meant
  UNION ALL
  SELECT own.id, 3, meant.position
    FROM own, LATERAL (SELECT t.position FROM transactions t
                        WHERE t.to_account = own.id AND t.kind = 'HOLD' AND t.position > $17
                        ORDER BY t.position LIMIT $3) AS meant
), horizon AS (
  SELECT CASE WHEN $17::bigint IS NULL THEN coalesce(max(lowest), 0)
         ELSE coalesce(min(highest), 9223372036854775807) END AS position
    FROM (SELECT min(position) AS lowest, max(position) AS highest
            FROM lines GROUP BY id, stream HAVING count(*) >= $3) AS more
), matched AS (
  SELECT t.position
    FROM (SELECT DISTINCT l.position FROM lines l, horizon h
           WHERE CASE WHEN $17::bigint IS NULL THEN l.position >= h.position ELSE l.position <= h.position END)
         AS looked
    JOIN transactions t ON t.position = looked.position
    JOIN currencies c ON c.code = t.currency
    LEFT JOIN summaries s ON s.position = t.position
   WHERE ($6::timestamptz IS NULL OR t.created_at >= $6) AND ($7::timestamptz IS NULL OR t.created_at < $7)
     AND CASE $8::text WHEN 'DEBIT' THEN t.from_account = ANY ($1::bytea[])
                       WHEN 'CREDIT' THEN t.to_account = ANY ($1::bytea[]) ELSE true END
     AND ($9::bytea IS NULL OR $9 IN (t.from_account, t.to_account)
          OR EXISTS (SELECT FROM legs l WHERE l.position = t.position AND $9 IN (l.from_account, l.to_account)))
     AND ($10::numeric IS NULL OR t.amount >= $10 * power(10::numeric, c.exponent))
     AND ($11::numeric IS NULL OR t.amount <= $11 * power(10::numeric, c.exponent))
     AND ($12::text IS NULL OR t.kind = $12::text::transaction_kind)
     AND ($13::text IS NULL OR coalesce(s.status, 'COMPLETED') = $13::text::transaction_status)
     AND ($14::text IS NULL OR t.reference = $14)
     AND ($15::text IS NULL
          OR strpos(lower(concat_ws(E'\n', t.description, t.reference)), lower($15)) > 0)
     AND ($16::text[] IS NULL OR t.metadata @> ANY ($16::text[]::jsonb[]))
), kept AS (
  SELECT position FROM matched
   ORDER BY CASE WHEN $17::bigint IS NULL THEN position ELSE -position END DESC LIMIT $4 OFFSET $5
)
SELECT h.position AS horizon, (SELECT count(*) FROM matched) AS total, r.*, f.owner AS from_owner, g.owner AS to_owner,
       fu.name AS from_name, fu.email AS from_email, gu.name AS to_name, gu.email AS to_email
  FROM horizon h
  LEFT JOIN kept ON true
  LEFT JOIN transaction_rows r ON r.position = kept.position
  LEFT JOIN accounts f ON f.id = r.from_account
  LEFT JOIN accounts g ON g.id = r.to_account
  LEFT JOIN users fu ON fu.id = f.owner
  LEFT JOIN users gu ON gu.id = g.owner
 ORDER BY kept.position DESC;

-- name: count_transactions
-- Entries of the accounts $1, those of a transaction between two of them counted once, and holds.
SELECT (SELECT coalesce(sum(last_seq), 0)::bigint FROM accounts WHERE id = ANY($1::bytea[]))
     - CASE WHEN cardinality($1::bytea[]) < 2 THEN 0 ELSE (
         SELECT count(*) FROM entries e JOIN transactions t ON t.position = e.position
          WHERE e.account_id = ANY($1::bytea[]) AND e.direction = 'DEBIT'
            AND t.to_account = ANY($1::bytea[])) END
     + (SELECT count(*) FROM (SELECT position FROM transactions WHERE from_account = ANY($1::bytea[]) AND kind = 'HOLD'
                              UNION
                              SELECT position FROM transactions WHERE to_account = ANY($1::bytea[]) AND kind = 'HOLD')
                          AS holds) AS total;
