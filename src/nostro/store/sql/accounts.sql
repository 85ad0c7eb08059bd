-- Accounts: opening, reading and finding them; changing their status and what is said of them.

-- name: insert_currency
-- A currency has one number of places for ever: an account in it refers to this row.
INSERT INTO currencies (code, exponent) VALUES ($1, $2) ON CONFLICT (code) DO NOTHING;

-- name: insert_account
INSERT INTO accounts (id, owner, currency, exponent, settlement, floor, name, description, reference, metadata,
                      created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, CASE WHEN $5 THEN NULL ELSE 0 END, $6, $7, $8, $9::text::jsonb,
        clock_timestamp(), clock_timestamp())
RETURNING id, owner, currency, exponent, status::text AS status, balance, held_now(id, held) AS held, name, description, reference,
          metadata::text AS metadata, settlement, created_at, updated_at;

-- name: account_by_id
SELECT id, owner, currency, exponent, status::text AS status, balance, held_now(id, held) AS held, name, description, reference,
       metadata::text AS metadata, settlement, created_at, updated_at
  FROM accounts WHERE id = $1;

-- name: accounts_of
-- Those of one owner, found through the owner, in order of opening. What is wanted of reference, metadata and text
-- is compared only where it is not null; any one of the documents in $3 is enough.
SELECT id, owner, currency, exponent, status::text AS status, balance, held_now(id, held) AS held, name, description, reference,
       metadata::text AS metadata, settlement, created_at, updated_at
  FROM accounts
 WHERE owner = $1
   AND ($2::text IS NULL OR reference = $2)
   AND ($3::text[] IS NULL OR metadata @> ANY ($3::text[]::jsonb[]))
   AND ($4::text IS NULL OR strpos(lower(concat_ws(E'\n', name, description, reference)), lower($4)) > 0)
 ORDER BY created_at, id;

-- name: all_accounts
-- As accounts_of, of all owners, in pages.
SELECT id, owner, currency, exponent, status::text AS status, balance, held_now(id, held) AS held, name, description, reference,
       metadata::text AS metadata, settlement, created_at, updated_at
  FROM accounts
 WHERE ($1::text IS NULL OR reference = $1)
   AND ($2::text[] IS NULL OR metadata @> ANY ($2::text[]::jsonb[]))
   AND ($3::text IS NULL OR strpos(lower(concat_ws(E'\n', name, description, reference)), lower($3)) > 0)
 ORDER BY created_at, id LIMIT $4 OFFSET $5;

-- name: balances_for
-- Session and balance of each request in one look, in their order: the caller and the revocation are judged at
-- the moment of the read. No epoch: no such user; no account: none, or not the caller's. IS TRUE keeps the planner
-- from walking through all accounts of an owner.
SELECT extract(epoch FROM u.token_epoch)::float8 AS epoch,
       EXISTS (SELECT FROM revoked_tokens r WHERE r.digest = asked.digest) AS revoked,
       a.id, a.currency, a.exponent, a.balance, held_now(a.id, a.held) AS held
  FROM unnest($1::text::bytea[], $2::text::bytea[], $3::text::bytea[]) WITH ORDINALITY
         AS asked (user_id, digest, account_id, nth)
  LEFT JOIN users u ON u.id = asked.user_id
  LEFT JOIN accounts a ON a.id = asked.account_id AND (a.owner = u.id) IS TRUE
 ORDER BY asked.nth;

-- name: lock_account
-- Lock and row are one statement: what had to be waited for is read in its newest version.
SELECT id, owner, currency, exponent, status::text AS status, balance, held_now(id, held) AS held, name, description, reference,
       metadata::text AS metadata, settlement, created_at, updated_at
  FROM accounts WHERE id = $1 FOR NO KEY UPDATE;

-- name: set_status
UPDATE accounts SET status = $2::text::account_status, updated_at = greatest(clock_timestamp(), updated_at)
 WHERE id = $1
RETURNING id, owner, currency, exponent, status::text AS status, balance, held_now(id, held) AS held, name, description, reference,
          metadata::text AS metadata, settlement, created_at, updated_at;

-- name: set_details
UPDATE accounts SET name = $2, description = $3, reference = $4, metadata = $5::text::jsonb,
                    updated_at = greatest(clock_timestamp(), updated_at)
 WHERE id = $1
RETURNING id, owner, currency, exponent, status::text AS status, balance, held_now(id, held) AS held, name, description, reference,
          metadata::text AS metadata, settlement, created_at, updated_at;
