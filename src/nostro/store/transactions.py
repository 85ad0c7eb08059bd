"""Transactions read back: one, by key, and in pages."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from nostro.domain.history import Filters
from nostro.domain.ids import ObjectId
from nostro.domain.transaction import Transaction
from nostro.store.database import Connection
from nostro.store.queries import SQL
from nostro.store.stories import transaction_of


class SeenTransaction(NamedTuple):
    """A transaction with the people on both sides of it."""

    transaction: Transaction
    from_owner: ObjectId
    to_owner: ObjectId
    from_name: str
    from_email: str
    to_name: str
    to_email: str


def _seen(row: Any) -> SeenTransaction:
    return SeenTransaction(
        transaction_of(row),
        row["from_owner"],
        row["to_owner"],
        row["from_name"],
        row["from_email"],
        row["to_name"],
        row["to_email"],
    )


async def transaction_seen_by(
    connection: Connection, transaction: ObjectId, viewer: ObjectId | None
) -> SeenTransaction | None:
    """The transaction if `viewer` asked for it or owns one of its sides (None: whoever looks may see it)."""
    row = await connection.fetchrow(SQL["transaction_seen_by"], transaction, viewer)
    return _seen(row) if row else None


async def transactions_about(connection: Connection, position: int) -> list[Transaction]:
    """What became of the transaction at `position`, in order."""
    return [transaction_of(row) for row in await connection.fetch(SQL["transactions_about"], position)]


async def transactions_by_key(connection: Connection, user: ObjectId, key: str) -> list[Transaction]:
    return [transaction_of(row) for row in await connection.fetch(SQL["transactions_by_key"], user, key)]


class TransactionsPage(NamedTuple):
    """`total`: how many were kept of what was looked at: everything between the position asked from and
    `horizon`, which lies beyond all there is when nothing is left."""

    found: list[SeenTransaction]
    total: int
    horizon: int


async def page_of_transactions(
    connection: Connection,
    accounts: Sequence[ObjectId],
    filters: Filters,
    *,
    before: int | None = None,
    after: int | None = None,
    looked_at: int,
    limit: int,
    skip: int = 0,
) -> TransactionsPage:
    """What the filters keep of the newest `looked_at` lines of each account before a position, or of the oldest
    after one; newest first."""
    rows = await connection.fetch(
        SQL["page_of_transactions"],
        accounts,
        before,
        looked_at,
        limit,
        skip,
        filters.since,
        filters.until,
        filters.direction and filters.direction.value,
        filters.counterparty,
        filters.least and filters.least.decimal,
        filters.most and filters.most.decimal,
        filters.kind and filters.kind.value,
        filters.status and filters.status.value,
        filters.reference,
        filters.text,
        filters.metadata,
        after,
    )
    found = [_seen(row) for row in rows if row["position"] is not None]
    return TransactionsPage(found, rows[0]["total"], rows[0]["horizon"])


async def count_transactions(connection: Connection, accounts: Sequence[ObjectId]) -> int:
    total: int = await connection.fetchval(SQL["count_transactions"], accounts)
    return total
