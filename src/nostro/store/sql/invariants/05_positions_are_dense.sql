-- Transactions and events together stand at positions 1, 2, 3 … without a gap, up to the journal's head.
WITH journal AS (
  SELECT position FROM transactions UNION ALL SELECT position FROM events
), counted AS (
  SELECT position, row_number() OVER (ORDER BY position) AS expected FROM journal
)
SELECT 'position ' || position AS offender, 'expected position ' || expected AS finding
  FROM (SELECT position, expected FROM counted WHERE position <> expected
        UNION ALL
        SELECT position, (SELECT count(*) FROM journal) FROM journal_head
         WHERE position <> (SELECT count(*) FROM journal)) AS gap
 ORDER BY position LIMIT 1;
