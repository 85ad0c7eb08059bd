-- Each row that changed what an account holds says what it held afterwards: that of the row before, plus a hold,
-- minus what was captured or let go.
SELECT 'position ' || position AS offender,
       'held ' || coalesce(held_after::text, 'nothing') || ' after ' || coalesce(before, 0) || ' and a change of ' || change AS finding
  FROM (SELECT position, held_after,
               CASE kind WHEN 'HOLD' THEN amount ELSE -(amount + coalesce(released, 0)) END AS change,
               lag(held_after) OVER (PARTITION BY from_account ORDER BY position) AS before
          FROM transactions WHERE kind IN ('HOLD', 'CAPTURE', 'VOID', 'EXPIRY')) AS chain
 WHERE held_after IS DISTINCT FROM coalesce(before, 0) + change
 ORDER BY position LIMIT 1;
