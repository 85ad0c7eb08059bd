"""Sums over all accounts at one cut through the journal, and the late entries of a closed period."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

from nostro.domain.ids import ObjectId
from nostro.domain.money import Currency
from nostro.domain.transaction import Direction, Kind
from nostro.store.database import Connection, Database
from nostro.store.queries import SQL

# A report reads every account; the bound keeps a forgotten one from holding a connection for ever.
LONGEST_REPORT_S = 60.0


class Cut(NamedTuple):
    """Where the journal is cut: at a moment of recording, at a position, or (both None) at its end."""

    at: datetime | None = None
    position: int | None = None


class Sum(NamedTuple):
    """What some accounts add up to, in minor units: `debits` those below zero, `credits` those above."""

    currency: Currency
    settlement: bool | None
    owner: ObjectId | None
    accounts: int
    debits: int
    credits: int


class RestatedRow(NamedTuple):
    """An entry recorded into a closed period. Amounts in minor units."""

    account: ObjectId
    seq: int
    position: int
    amount: int
    balance_after: int
    created_at: datetime
    effective_at: datetime
    direction: Direction
    transaction: ObjectId
    kind: Kind
    description: str | None
    reference: str | None
    owner: ObjectId
    owner_name: str
    currency: Currency


@asynccontextmanager
async def snapshot(database: Database) -> AsyncIterator[Connection]:
    """One read-only view of everything, with time to look at all of it."""
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(f"SET LOCAL statement_timeout = {int(LONGEST_REPORT_S * 1000)}")
        yield connection


async def journal_now(connection: Connection) -> tuple[int, datetime]:
    """The last position, and the database's clock."""
    row = await connection.fetchrow(SQL["journal_now"])
    return row["position"], row["now"]


async def balances_by(
    connection: Connection, grouping: str, cut: Cut, owners: Sequence[ObjectId] | None = None
) -> list[Sum]:
    """By currency and `grouping` (currency, kind or owner), in this order."""
    rows = await connection.fetch(
        SQL["balances_by"], grouping, cut.at, cut.position, owners, timeout=LONGEST_REPORT_S + 1
    )
    return [
        Sum(
            currency=Currency(row["currency"], row["exponent"]),
            settlement=row["settlement"],
            owner=row["owner"],
            accounts=row["accounts"],
            debits=int(row["debits"]),
            credits=int(row["credits"]),
        )
        for row in rows
    ]


async def owners_page(connection: Connection, after: ObjectId, limit: int) -> list[tuple[ObjectId, str]]:
    """Who has accounts, with their names, in the order of their ids."""
    return [(row["id"], row["name"]) for row in await connection.fetch(SQL["owners_page"], after, limit)]


async def restatements_page(
    connection: Connection,
    *,
    currency: str,
    position: int,
    until: datetime,
    after: tuple[ObjectId, int],
    limit: int,
    looked_at: int,
) -> list[RestatedRow]:
    """Of the next `looked_at` late entries after the one named, those recorded behind `position` that are said
    to have happened before `until`; `limit` at most."""
    rows = await connection.fetch(SQL["restatements_page"], currency, position, until, limit, *after, looked_at)
    return [
        RestatedRow(
            account=row["account_id"],
            seq=row["seq"],
            position=row["position"],
            amount=row["amount"],
            balance_after=row["balance_after"],
            created_at=row["created_at"],
            effective_at=row["effective_at"],
            direction=Direction(row["direction"]),
            transaction=row["transaction_id"],
            kind=Kind(row["kind"]),
            description=row["description"],
            reference=row["reference"],
            owner=row["owner"],
            owner_name=row["owner_name"],
            currency=Currency(row["currency"], row["exponent"]),
        )
        for row in rows
    ]


async def late_entry_after(
    connection: Connection, after: tuple[ObjectId, int], count: int
) -> tuple[ObjectId, int] | None:
    """The late entry that stands `count` behind the one named, if there are so many."""
    row = await connection.fetchrow(SQL["late_entry_after"], *after, count)
    return (row["account_id"], row["seq"]) if row else None
