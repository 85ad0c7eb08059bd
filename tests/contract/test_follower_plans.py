"""The plans of what follows the journal: made on the first day, when the tables were empty, and still good
when they are not. Counted in pages, which do not depend on the machine or its load."""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from nostro.store.database import _COMMITTER
from nostro.store.queries import SQL
from tests.contract.planner import Planner

PENDING, TRANSACTIONS, TARGETS, BATCH = 20_000, 20_000, 100, 32

_GROWN = f"""
SET session_replication_role = replica;
INSERT INTO users (id, email, name, password_hash, created_at, updated_at)
SELECT decode(lpad(to_hex(n), 24, '0'), 'hex'), 'u' || n || '@example.com', 'U', '', now(), now()
  FROM generate_series(1, 100) AS n;
INSERT INTO currencies (code, exponent) VALUES ('INR', 2) ON CONFLICT DO NOTHING;
INSERT INTO accounts (id, owner, currency, exponent, balance, last_seq, floor, created_at, updated_at)
SELECT decode(lpad(to_hex(n), 24, '0'), 'hex'), decode(lpad(to_hex(1 + n % 100), 24, '0'), 'hex'), 'INR', 2,
       1000000, {TRANSACTIONS} / 500, 0, now(), now()
  FROM generate_series(1, 1000) AS n;
INSERT INTO transactions (position, amount, created_at, kind, operation, id, requested_by, from_account,
                          to_account, currency, idempotency_key, request_digest)
SELECT n, 1, now(), 'TRANSFER', 'TRANSFER', decode(lpad(to_hex(n), 24, '0'), 'hex'),
       decode(lpad(to_hex(1 + n % 100), 24, '0'), 'hex'), decode(lpad(to_hex(1 + n % 1000), 24, '0'), 'hex'),
       decode(lpad(to_hex(1 + (n + 7) % 1000), 24, '0'), 'hex'), 'INR', 'key-' || n, '\\x00'
  FROM generate_series(1, {TRANSACTIONS}) AS n;
INSERT INTO entries (seq, position, amount, balance_after, created_at, direction, account_id)
SELECT 1 + 2 * ((position - 1) / 1000), position, 1, 0, created_at, 'DEBIT', from_account FROM transactions;
INSERT INTO entries (seq, position, amount, balance_after, created_at, direction, account_id)
SELECT 2 + 2 * ((position - 1) / 1000), position, 1, 0, created_at, 'CREDIT', to_account FROM transactions;
INSERT INTO events (position, created_at, kind, user_id)
SELECT n, now(), 'SOMETHING_HAPPENED', decode(lpad(to_hex(1 + n % 100), 24, '0'), 'hex')
  FROM generate_series({TRANSACTIONS} + 1, {TRANSACTIONS} + 2000) AS n;
UPDATE journal_head SET position = {TRANSACTIONS} + 2000;
INSERT INTO followers (name, position) VALUES ('plain', 0);
INSERT INTO deliveries (follower, position, target, payload, fence)
SELECT 'plain', n, 'target ' || n % {TARGETS}, ('{{"said": "' || repeat('x', 900) || '"}}')::json, 1
  FROM generate_series(1, {PENDING}) AS n;
SET session_replication_role = DEFAULT;
"""

_RANGE = range(15001, 15001 + BATCH)
_POSITIONS = f"'{{{','.join(map(str, _RANGE))}}}'"
_TARGETS = f"'{{{','.join(f'target {number % TARGETS}' for number in _RANGE)}}}'"


def _repeated(literal: str, kind: str) -> str:
    return f"array_fill({literal}::{kind}, ARRAY[{BATCH}])"


# Each with its arguments and the pages it may touch: a few per row of the batch.
STATEMENTS = {
    "look": ([], 20),
    "take_cursor": (["'plain'"], 20),
    "transactions_at": ([_POSITIONS], 20 * BATCH),
    "entries_at": ([_POSITIONS], 10 * BATCH),
    "legs_at": ([_POSITIONS], 20 * BATCH),
    "other_events_at": ([_POSITIONS], 20 * BATCH),
    "positions_of_user": ([r"'\x000000000000000000000003'", "10000", str(BATCH)], 60 * BATCH),
    "add_deliveries": (
        ["'plain'", _POSITIONS, _repeated("'new'", "text"), _repeated("'{}'", "text")],
        30 * BATCH,
    ),
    "claim_deliveries": (["'plain'", "''", str(BATCH), "4", "60", "'{}'"], 30 * BATCH),
    "mark_deliveries": (
        [
            *(_repeated("'plain'", "text"), _POSITIONS, _TARGETS, _repeated("1", "bigint")),
            *(_repeated("'SENT'", "text"), _repeated("0", "float8"), _repeated("''", "text")),
            _repeated("false", "boolean"),
        ],
        30 * BATCH,
    ),
}


async def _grow(dsn: str) -> None:
    """On a connection of its own: what it sets would make the other plan anew."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(_GROWN)
    # What vacuum would do later; without it every page of entries would be read.
    assert await connection.fetchval(SQL["summarize_entries"])
    await connection.close()


@pytest.fixture(scope="module")
def prepared(new_database: Any) -> Iterator[Planner]:
    """A connection of the followers' pool that planned its statements when there was nothing."""
    dsn = new_database()
    planner = Planner(dsn, _COMMITTER)
    for name, (arguments, _) in STATEMENTS.items():
        planner.prepare(name, SQL[name])
        planner.explain_prepared(name, *arguments)
    asyncio.run(_grow(dsn))
    yield planner
    planner.close()


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_plan_made_on_the_first_day_is_good_on_every_other(prepared: Planner, name: str) -> None:
    arguments, most = STATEMENTS[name]
    _, pages = prepared.explain_prepared(name, *arguments)
    assert pages <= most, f"{pages} pages"
