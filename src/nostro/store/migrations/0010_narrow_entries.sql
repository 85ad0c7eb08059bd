-- The direction of an entry in one byte instead of four: an entry of 81 bytes takes 88, one of 78 takes 80. A ledger has
-- two for every transfer. Written and compared as before: of a longer word, "char" takes the first letter.
-- Rewrites the table, which takes a minute for every twenty million entries and room for a second copy of it.

ALTER TYPE entry_direction RENAME TO entry_direction_before;
CREATE DOMAIN entry_direction AS "char" CHECK (VALUE IN ('DEBIT', 'CREDIT'));
ALTER TABLE entries ALTER COLUMN direction TYPE entry_direction USING direction::text::entry_direction;
DROP TYPE entry_direction_before;

CREATE FUNCTION direction_name(direction entry_direction) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE direction WHEN 'DEBIT' THEN 'DEBIT' WHEN 'CREDIT' THEN 'CREDIT' END
$$;
