-- Idempotency keys are found, and kept from being used twice, by a digest of user and key. An index of the keys themselves
-- took 100 bytes and more for each transaction, whatever they looked like: keys that are counted fill a page's first
-- half and never come back to the other, random ones (UUIDs) are long. The digest takes 50.

-- Sixteen bytes of SHA-256: that two keys of one user share them is not to be expected, nor to be brought about. A user has
-- twelve bytes, so nothing of a key can be taken for part of its user. A backslash in the text form of bytea stands doubled.
CREATE FUNCTION key_digest(requested_by bytea, idempotency_key text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT substr(sha256(requested_by || replace(idempotency_key, '\', '\\')::bytea), 1, 16)
$$;

ALTER TABLE transactions DROP CONSTRAINT transactions_idempotency_key;
CREATE UNIQUE INDEX transactions_idempotency_key
  ON transactions (key_digest(requested_by, idempotency_key), operation);

-- As before, but for the way to a key.
CREATE OR REPLACE FUNCTION still_so(callers bytea[], versions xid[], tokens bytea[], holding bytea[], moment timestamptz,
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
                  JOIN transactions t ON key_digest(t.requested_by, t.idempotency_key) = key_digest(n.requested_by, n.key)
                                     AND t.operation = n.operation))
  THEN
    RETURN refuse_stale();
  END IF;
  RETURN true;
END $$;
