-- What is counted against the limits of an account in the hour, day and month that are under way is what its
-- entries and holds say (sql/limits.sql, set_limits, says what is spent), and only accounts with a limit are marked
-- as limited. A count of an earlier period is none of the current one.
SELECT 'account ' || encode(account_id, 'hex') AS offender, finding
  FROM (SELECT a.id AS account_id,
               'counted ' || counted.hour_count || ' in the hour, ' || counted.day_paid || ' in the day, '
               || counted.month_paid || ' in the month; the journal says ' || used.hour_count || ', '
               || used.day_paid || ', ' || used.month_paid AS finding
          FROM accounts a
          JOIN limits l ON l.account_id = a.id
         -- A transaction may be a little ahead of this snapshot's clock, which another machine may have set.
         CROSS JOIN LATERAL (
           SELECT greatest(date_trunc('hour', now(), 'UTC'), l.hour_start) AS hour,
                  greatest(date_trunc('day', now(), 'UTC'), l.day_start) AS day,
                  greatest(date_trunc('month', now(), 'UTC'), l.month_start) AS month
         ) AS period
         CROSS JOIN LATERAL (
           SELECT CASE WHEN l.hour_start = period.hour THEN l.hour_count ELSE 0 END AS hour_count,
                  CASE WHEN l.day_start = period.day THEN l.day_paid ELSE 0 END AS day_paid,
                  CASE WHEN l.month_start = period.month THEN l.month_paid ELSE 0 END AS month_paid
         ) AS counted
         CROSS JOIN LATERAL (
           SELECT count(DISTINCT spent.position) FILTER (WHERE spent.created_at >= period.hour) AS hour_count,
                  coalesce(sum(spent.amount) FILTER (WHERE spent.created_at >= period.day), 0) AS day_paid,
                  coalesce(sum(spent.amount), 0) AS month_paid
             FROM (SELECT e.position, e.created_at, e.amount
                     FROM entries e
                     JOIN transactions t ON t.position = e.position
                                        AND t.kind IN ('TRANSFER', 'INITIAL_FUNDS', 'EXCHANGE')
                    WHERE e.account_id = a.id AND e.direction = 'DEBIT'
                      AND e.seq > last_seq_at(a.id, period.month - interval '1 microsecond')
                   UNION ALL
                   SELECT t.position, t.created_at, t.amount - s.released
                     FROM transactions t
                     JOIN summaries s ON s.position = t.position
                    WHERE t.from_account = a.id AND t.kind = 'HOLD' AND t.created_at >= period.month) AS spent
         ) AS used
         WHERE a.limited AND (counted.hour_count, counted.day_paid, counted.month_paid)
                 IS DISTINCT FROM (used.hour_count, used.day_paid, used.month_paid)
        UNION ALL
        SELECT a.id, CASE WHEN a.limited THEN 'is marked as limited without a limit'
                          ELSE 'has a limit without being marked as limited' END
          FROM accounts a
          LEFT JOIN limits l ON l.account_id = a.id
         WHERE a.limited <> (l.account_id IS NOT NULL AND num_nonnulls(l.single_limit, l.day_limit, l.month_limit,
                                                                      l.hour_limit) > 0)) AS broken
 ORDER BY account_id LIMIT 1;
