-- What a hold or a movement is said to have become is what the rows about it say: captured and let go never exceed
-- what was held, reversed never what was moved, and the status and the expiry agree with them.
WITH told AS (
  SELECT t.parent AS position,
         sum(t.amount) FILTER (WHERE t.kind = 'CAPTURE') AS captured,
         sum(CASE WHEN t.kind IN ('VOID', 'EXPIRY') THEN t.amount ELSE t.released END) AS released,
         sum(t.amount) FILTER (WHERE t.kind = 'REVERSAL') AS reversed,
         (array_agg(t.expires_at ORDER BY t.position DESC) FILTER (WHERE t.kind = 'EXTENSION'))[1] AS expires_at
    FROM transactions t WHERE t.parent IS NOT NULL GROUP BY t.parent
), story AS (
  SELECT p.position, p.kind, p.amount, p.from_account, coalesce(told.expires_at, p.expires_at) AS expires_at,
         coalesce(told.captured, 0) AS captured, coalesce(told.released, 0) AS released,
         coalesce(told.reversed, 0) AS reversed
    FROM transactions p LEFT JOIN told ON told.position = p.position
   WHERE p.kind = 'HOLD' OR told.position IS NOT NULL
), expected AS (
  SELECT story.*,
         CASE WHEN kind = 'HOLD' AND captured + released < amount THEN 'PENDING'
              WHEN kind = 'HOLD' AND captured = 0 THEN 'FAILED'
              WHEN kind <> 'HOLD' AND reversed = amount THEN 'REVERSED'
              ELSE 'COMPLETED' END AS status
    FROM story
)
SELECT 'position ' || coalesce(e.position, s.position) AS offender,
       CASE WHEN s.position IS NULL THEN 'what became of it is not summed up'
            WHEN e.position IS NULL THEN 'is summed up although nothing is about it'
            ELSE 'is said to be ' || s.status || ' with captured ' || s.captured || ', released ' || s.released
                 || ', reversed ' || s.reversed || '; the rows about it say ' || e.status || ', ' || e.captured
                 || ', ' || e.released || ', ' || e.reversed END AS finding
  FROM expected e FULL JOIN summaries s ON s.position = e.position
 WHERE s.position IS NULL OR e.position IS NULL
    OR (s.amount, s.account_id, s.status::text, s.captured, s.released, s.reversed)
       IS DISTINCT FROM (e.amount, e.from_account, e.status, e.captured, e.released, e.reversed)
    OR s.expires_at IS DISTINCT FROM e.expires_at
    OR e.captured + e.released > e.amount OR e.reversed > e.amount
 ORDER BY coalesce(e.position, s.position) LIMIT 1;
