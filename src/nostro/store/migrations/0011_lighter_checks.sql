-- What is asked of every batch, said in fewer words: PostgreSQL reads a constraint's whole text anew for each statement
-- that writes to its table, and prepares all of a query before it runs the half that is needed.
-- Holds afterwards: exactly what held before. A comparison with a column that is empty refuses nothing.

ALTER TABLE accounts
  DROP CONSTRAINT accounts_not_below_floor,
  DROP CONSTRAINT accounts_not_above_ceiling,
  ADD CONSTRAINT accounts_not_below_floor CHECK (balance >= floor + held),
  ADD CONSTRAINT accounts_not_above_ceiling CHECK (balance <= ceiling);

ALTER TABLE transactions
  DROP CONSTRAINT transactions_story_is_sound,
  -- EXTENSION and the kinds after it are those about an earlier transaction; a new kind may need new words here.
  ADD CONSTRAINT transactions_story_is_sound CHECK (
    (kind >= 'EXTENSION') = (parent IS NOT NULL) AND parent < position
    AND released > 0 AND held_after >= 0 AND counter_amount > 0 AND effective_at < created_at
  );

-- As before; what only batches with holds or refusals need is a query of its own. The callers come in the order of their
-- ids.
CREATE OR REPLACE FUNCTION still_so(callers bytea[], versions xid[], tokens bytea[], holding bytea[], moment timestamptz,
                                    refused_users bytea[], refused_operations operation[], refused_keys text[])
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF coalesce((SELECT array_agg(u.xmin ORDER BY u.id) FROM users u WHERE u.id = ANY(callers)), '{}') <> versions
     OR EXISTS (SELECT FROM revoked_tokens r WHERE r.digest = ANY(tokens))
  THEN
    RETURN refuse_stale();
  END IF;
  IF holding <> '{}' THEN
    PERFORM FROM summaries s
      WHERE s.account_id = ANY(holding) AND s.status = 'PENDING' AND s.expires_at <= moment + interval '1 second';
    IF FOUND THEN
      RETURN refuse_stale();
    END IF;
  END IF;
  IF refused_keys <> '{}' THEN
    PERFORM FROM unnest(refused_users, refused_operations, refused_keys) AS n (requested_by, operation, key)
      JOIN transactions t ON key_digest(t.requested_by, t.idempotency_key) = key_digest(n.requested_by, n.key)
                         AND t.operation = n.operation;
    IF FOUND THEN
      RETURN refuse_stale();
    END IF;
  END IF;
  RETURN true;
END $$;
