"""A past that no clock waits for: movements recorded at any moment, written whole as the committer writes them.

The constraints and triggers of the database judge them like any other, and `nostro verify` holds afterwards as
long as the moments of one account do not go back.
"""

from datetime import UTC, datetime
from typing import Any

from tests.client import fresh
from tests.contract.conftest import House, Tables

_MOVE = """
WITH head AS (
  UPDATE journal_head SET position = position + 1 WHERE single RETURNING position
), source AS (
  UPDATE accounts SET balance = balance - $4, last_seq = last_seq + 1 WHERE id = $2
  RETURNING balance, last_seq, owner, currency
), target AS (
  UPDATE accounts SET balance = balance + $4, last_seq = last_seq + 1 WHERE id = $3 RETURNING balance, last_seq
), booked AS (
  INSERT INTO transactions (position, amount, created_at, kind, operation, id, requested_by, from_account,
                            to_account, currency, idempotency_key, request_digest, effective_at, description,
                            reference, metadata)
  SELECT head.position, $4, $5, 'TRANSFER', 'TRANSFER', $1, source.owner, $2, $3, source.currency, $7, '\\x00',
         $6, $8, $9, $10::jsonb
    FROM head, source
)
INSERT INTO entries (seq, position, amount, balance_after, created_at, effective_at, direction, account_id)
SELECT source.last_seq, head.position, $4, source.balance, $5, $6, 'DEBIT'::entry_direction, $2
  FROM head, source
UNION ALL
SELECT target.last_seq, head.position, $4, target.balance, $5, $6, 'CREDIT', $3 FROM head, target
RETURNING position
"""


def moment(text: str) -> datetime:
    """`2026-03-01T12:00:00`, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def move(
    tables: Tables,
    source: str,
    target: str,
    minor: int,
    at: str,
    *,
    effective_at: str | None = None,
    description: str | None = None,
    reference: str | None = None,
    metadata: str | None = None,
) -> int:
    """`minor` units from one account to another, recorded `at` a moment; its position in the journal."""
    values: list[Any] = [
        bytes.fromhex(fresh().encode().hex()[-24:].rjust(24, "0")),
        bytes.fromhex(source),
        bytes.fromhex(target),
        minor,
        moment(at),
        moment(effective_at) if effective_at else None,
        fresh("past"),
        description,
        reference,
        metadata,
    ]
    return int(tables.value(_MOVE, *values))


def treasury(house: House, **fields: object) -> str:
    """A settlement account without any history yet, from which money of the past comes."""
    account = house.client.register("Treasury").open_account(**fields)
    house.tables.script(f"UPDATE accounts SET settlement = true, floor = NULL WHERE id = '\\x{account}'")
    return account


def many(source: str, target: str, count: int) -> str:
    """`count` movements, the n-th of n minor units, without a look at the rules."""
    pays, receives = f"'\\x{source}'::bytea", f"'\\x{target}'::bytea"
    return f"""
    SET session_replication_role = replica;
    INSERT INTO transactions (position, amount, created_at, kind, operation, id, requested_by, from_account,
                              to_account, currency, idempotency_key, request_digest)
    SELECT position + n, n, now(), 'TRANSFER', 'TRANSFER', decode(lpad(to_hex(position + n), 24, 'e'), 'hex'),
           {pays}, {pays}, {receives}, 'INR', 'many ' || position + n, '\\x00'
      FROM journal_head, generate_series(1, {count}) AS n;
    INSERT INTO entries (seq, position, amount, balance_after, created_at, direction, account_id)
    SELECT n, position + n, n, sign * n * (n + 1) / 2, now(), direction::entry_direction, id
      FROM journal_head, generate_series(1, {count}) AS n,
           (VALUES (-1, 'DEBIT', {pays}), (1, 'CREDIT', {receives})) AS side (sign, direction, id);
    UPDATE accounts SET last_seq = {count},
                        balance = {count} * ({count} + 1) / 2 * CASE WHEN settlement THEN -1 ELSE 1 END
     WHERE id IN ({pays}, {receives});
    UPDATE journal_head SET position = position + {count};
    SET session_replication_role = DEFAULT;
    """
