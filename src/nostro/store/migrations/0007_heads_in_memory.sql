-- A batch that was decided on heads as they were last seen is written only if they still are.
-- Holds afterwards: what held before; write_if_unchanged (sql/optimistic.sql) can refuse itself as a whole.

CREATE FUNCTION refuse_stale() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what the batch was decided on has changed' USING ERRCODE = 'NS003';
END $$;

-- True, or an exception: the callers are at their versions, none of the tokens is revoked, no hold on the accounts `holding`
-- is expired at `moment` or about to, and the keys of refused requests stand for nothing. VOLATILE, so that it has a
-- snapshot of its own, taken when the locks of the accounts are held; that of the statement may be older than the lock
-- it waited for (tests/concurrency/test_standing_order_races.py::test_a_change_that_the_transfer_meets…).
CREATE FUNCTION still_so(callers bytea[], versions xid[], tokens bytea[], holding bytea[], moment timestamptz,
                         refused_users bytea[], refused_operations operation[], refused_keys text[])
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF (SELECT count(*) FROM unnest(callers, versions) AS n (id, version)
                      JOIN users u ON u.id = n.id AND u.xmin = n.version) < cardinality(callers)
     OR EXISTS (SELECT FROM revoked_tokens r WHERE r.digest = ANY(tokens))
     OR (holding <> '{}' AND EXISTS (
           SELECT FROM summaries s WHERE s.account_id = ANY(holding) AND s.status = 'PENDING'
                                     AND s.expires_at <= moment + interval '1 second'))
     OR (refused_keys <> '{}' AND EXISTS (
           SELECT FROM unnest(refused_users, refused_operations, refused_keys) AS n (requested_by, operation, key)
                  JOIN transactions t ON t.requested_by = n.requested_by AND t.operation = n.operation
                                     AND t.idempotency_key = n.key))
  THEN
    RETURN refuse_stale();
  END IF;
  RETURN true;
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
