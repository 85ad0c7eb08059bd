-- A batch that was decided on heads as they were last seen is written only if they still are.
-- Holds afterwards: what held before; write_if_unchanged (sql/optimistic.sql) can refuse itself as a whole.

CREATE FUNCTION refuse_stale() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what the batch was decided on has changed' USING ERRCODE = 'NS003';
END $$;

-- As before, and cheaper: a transaction is looked up once for each of its currencies, not once for each entry.
CREATE OR REPLACE FUNCTION entries_must_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM (
      SELECT w.position, a.currency, count(*) AS lines, count(a.id) AS known,
             bool_or(w.seq > a.last_seq OR (w.seq = a.last_seq AND w.balance_after <> a.balance)) AS contradicted,
             sum(CASE w.direction WHEN 'DEBIT' THEN w.amount ELSE 0 END) AS debits,
             sum(CASE w.direction WHEN 'CREDIT' THEN w.amount ELSE 0 END) AS credits
        FROM written w LEFT JOIN accounts a ON a.id = w.account_id
       GROUP BY w.position, a.currency
    ) AS half LEFT JOIN transactions t ON t.position = half.position
     WHERE known <> lines OR contradicted OR credits <> debits
        OR debits IS DISTINCT FROM CASE half.currency WHEN t.currency THEN t.amount
                                                      WHEN t.counter_currency THEN t.counter_amount END
  ) THEN
    RAISE EXCEPTION 'entries are refused: without their transaction, not balanced, or not what the heads say'
      USING ERRCODE = 'NS002';
  END IF;
  RETURN NULL;
END $$;
