-- What accounts may have and pay: floor and ceiling, the limits on outgoing money, and what of them is used.

-- name: limits_of
-- As they are now; what was paid in a period that is over no longer counts. A statement of its own after the lock
-- of the account, when they are to be changed: joined to the locked row they would be those from before the wait.
SELECT a.floor, a.ceiling, a.limited, l.single_limit, l.day_limit, l.month_limit, l.hour_limit,
       now.hour + interval '1 hour' AS hour_end, now.day + interval '1 day' AS day_end,
       now.month + interval '1 month' AS month_end,
       CASE WHEN l.hour_start = now.hour THEN l.hour_count ELSE 0 END AS hour_count,
       CASE WHEN l.day_start = now.day THEN l.day_paid ELSE 0 END AS day_paid,
       CASE WHEN l.month_start = now.month THEN l.month_paid ELSE 0 END AS month_paid
  FROM accounts a
  CROSS JOIN LATERAL (
    SELECT date_trunc('hour', clock.moment, 'UTC') AS hour, date_trunc('day', clock.moment, 'UTC') AS day,
           date_trunc('month', clock.moment, 'UTC') AS month
      FROM (SELECT greatest(clock_timestamp(), a.updated_at) AS moment OFFSET 0) AS clock
  ) AS now
  LEFT JOIN limits l ON l.account_id = a.id
 WHERE a.id = $1;

-- name: set_bounds
UPDATE accounts SET floor = $2, ceiling = $3, limited = $4, updated_at = greatest(clock_timestamp(), updated_at)
 WHERE id = $1
RETURNING updated_at;

-- name: clear_limits
UPDATE limits SET single_limit = NULL, day_limit = NULL, month_limit = NULL, hour_limit = NULL
 WHERE account_id = $1;

-- name: set_limits
-- Holds afterwards: the account has these limits, and what it has used of them is what its entries and holds say,
-- at the moment $6. Spent is what left by TRANSFER, INITIAL_FUNDS and EXCHANGE, and what was set aside by a HOLD
-- and not let go; a CAPTURE was counted with its hold, a REVERSAL is no spending. The entries of the month are
-- those after the last one before it; a hold placed this month stands behind that one in the journal, too.
WITH period AS (
  SELECT date_trunc('hour', $6::timestamptz, 'UTC') AS hour, date_trunc('day', $6::timestamptz, 'UTC') AS day,
         date_trunc('month', $6::timestamptz, 'UTC') AS month,
         last_seq_at($1, date_trunc('month', $6::timestamptz, 'UTC') - interval '1 microsecond') AS seq_before
), spent AS (
  SELECT e.position, e.created_at, e.amount
    FROM period
    JOIN entries e ON e.account_id = $1 AND e.seq > period.seq_before AND e.direction = 'DEBIT'
    JOIN transactions t ON t.position = e.position AND t.kind IN ('TRANSFER', 'INITIAL_FUNDS', 'EXCHANGE')
  UNION ALL
  SELECT t.position, t.created_at, t.amount - s.released
    FROM period
    LEFT JOIN entries e ON e.account_id = $1 AND e.seq = period.seq_before
    JOIN transactions t ON t.from_account = $1 AND t.kind = 'HOLD' AND t.position > coalesce(e.position, 0)
                       AND t.created_at >= period.month
    JOIN summaries s ON s.position = t.position
), used AS (
  SELECT count(DISTINCT spent.position) FILTER (WHERE spent.created_at >= period.hour) AS hour_count,
         coalesce(sum(spent.amount) FILTER (WHERE spent.created_at >= period.day), 0) AS day_paid,
         coalesce(sum(spent.amount), 0) AS month_paid
    FROM period CROSS JOIN spent
)
INSERT INTO limits (account_id, single_limit, day_limit, month_limit, hour_limit,
                    hour_start, hour_count, day_start, day_paid, month_start, month_paid)
SELECT $1, $2, $3, $4, $5, period.hour, used.hour_count, period.day, used.day_paid, period.month, used.month_paid
  FROM period CROSS JOIN used
ON CONFLICT (account_id) DO UPDATE
   SET single_limit = excluded.single_limit, day_limit = excluded.day_limit,
       month_limit = excluded.month_limit, hour_limit = excluded.hour_limit,
       hour_start = excluded.hour_start, hour_count = excluded.hour_count,
       day_start = excluded.day_start, day_paid = excluded.day_paid,
       month_start = excluded.month_start, month_paid = excluded.month_paid;
