-- Currencies that are known here, and the rates between them.

-- name: currency_by_code
SELECT code, exponent, name, custom FROM currencies WHERE code = $1;

-- name: list_currencies
SELECT code, exponent, name, custom FROM currencies ORDER BY code;

-- name: register_currency
-- The primary key refuses a second one of this code; nothing may change or delete the first.
INSERT INTO currencies (code, exponent, name, custom) VALUES ($1, $2, $3, true);

-- name: list_rates
SELECT base, quote, rate, maker, updated_at FROM rates ORDER BY base, quote;

-- name: rate_of
SELECT base, quote, rate, maker, updated_at FROM rates WHERE base = $1 AND quote = $2;

-- name: settlement_accounts_in
-- The accounts that $1 exchanges from; they never change owner or currency, so no lock is needed.
SELECT id, currency FROM accounts WHERE owner = $1 AND settlement AND currency = ANY ($2::text[]);

-- name: set_rate
-- No row: the pair has another maker, who was faster or has it already.
INSERT INTO rates (base, quote, rate, maker, updated_at) VALUES ($1, $2, $3, $4, clock_timestamp())
ON CONFLICT (base, quote) DO UPDATE SET rate = excluded.rate, updated_at = excluded.updated_at
 WHERE rates.maker = excluded.maker
RETURNING base, quote, rate, maker, updated_at;
