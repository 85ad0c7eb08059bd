-- Accounts: opening, reading, changing their status.

-- name: insert_currency
-- A currency has one number of places for ever: an account in it refers to this row.
INSERT INTO currencies (code, exponent) VALUES ($1, $2) ON CONFLICT (code) DO NOTHING;

-- name: insert_account
INSERT INTO accounts (id, owner, currency, exponent, settlement, floor, name, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, CASE WHEN $5 THEN NULL ELSE 0 END, $6, clock_timestamp(), clock_timestamp())
RETURNING id, owner, currency, exponent, status::text AS status, balance, held, name, settlement, created_at,
          updated_at;

-- name: account_by_id
SELECT id, owner, currency, exponent, status::text AS status, balance, held, name, settlement, created_at,
       updated_at
  FROM accounts WHERE id = $1;

-- name: accounts_of
SELECT id, owner, currency, exponent, status::text AS status, balance, held, name, settlement, created_at,
       updated_at
  FROM accounts WHERE owner = $1 ORDER BY created_at, id;

-- name: all_accounts
SELECT id, owner, currency, exponent, status::text AS status, balance, held, name, settlement, created_at,
       updated_at
  FROM accounts ORDER BY created_at, id LIMIT $1 OFFSET $2;

-- name: balances_for
-- Session and balance of each request in one look, in their order: the caller and the revocation are judged at
-- the moment of the read. No epoch: no such user; no account: none, or not the caller's. IS TRUE keeps the planner
-- from walking through all accounts of an owner.
SELECT extract(epoch FROM u.token_epoch)::float8 AS epoch,
       EXISTS (SELECT FROM revoked_tokens r WHERE r.digest = asked.digest) AS revoked,
       a.id, a.currency, a.exponent, a.balance, a.held
  FROM unnest($1::text::bytea[], $2::text::bytea[], $3::text::bytea[]) WITH ORDINALITY
         AS asked (user_id, digest, account_id, nth)
  LEFT JOIN users u ON u.id = asked.user_id
  LEFT JOIN accounts a ON a.id = asked.account_id AND (a.owner = u.id) IS TRUE
 ORDER BY asked.nth;

-- name: lock_account
SELECT id, owner, status::text AS status, balance, held FROM accounts WHERE id = $1 FOR NO KEY UPDATE;

-- name: set_status
UPDATE accounts SET status = $2::text::account_status, updated_at = greatest(clock_timestamp(), updated_at)
 WHERE id = $1
RETURNING id, owner, currency, exponent, status::text AS status, balance, held, name, settlement, created_at,
          updated_at;
