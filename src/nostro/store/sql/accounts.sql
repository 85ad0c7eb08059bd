-- Accounts: opening, reading, changing their status.

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

-- name: balance_for
-- Session and balance in one look: the caller and the revocation are judged at the moment of the read.
SELECT extract(epoch FROM u.token_epoch)::float8 AS epoch,
       EXISTS (SELECT FROM revoked_tokens r WHERE r.digest = $2) AS revoked,
       a.id, a.currency, a.exponent, a.balance, a.held
  FROM users u LEFT JOIN accounts a ON a.id = $3 AND a.owner = u.id
 WHERE u.id = $1;

-- name: lock_account
SELECT id, owner, status::text AS status, balance, held FROM accounts WHERE id = $1 FOR NO KEY UPDATE;

-- name: set_status
UPDATE accounts SET status = $2::text::account_status, updated_at = greatest(clock_timestamp(), updated_at)
 WHERE id = $1
RETURNING id, owner, currency, exponent, status::text AS status, balance, held, name, settlement, created_at,
          updated_at;
