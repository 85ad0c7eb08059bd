"""Which books are closed for which past, and who closed them."""

from datetime import datetime
from typing import Any, NamedTuple

from nostro.domain.ids import ObjectId
from nostro.store.database import Connection
from nostro.store.queries import SQL


class Book(NamedTuple):
    """All accounts of one currency. It is closed for what happened before `closed_until`; None: it is open."""

    currency: str
    closed_until: datetime | None
    now: datetime


class ClosedPeriod(NamedTuple):
    currency: str
    closed_until: datetime
    closed_at: datetime


class PeriodEvent(NamedTuple):
    """`before`, `after`: how far the book was closed; None: not at all. `actor` None: the command line."""

    position: int
    created_at: datetime
    kind: str
    actor: ObjectId | None
    actor_name: str | None
    currency: str
    before: datetime | None
    after: datetime | None
    reason: str


async def lock_books(connection: Connection) -> None:
    """Until the transaction ends nobody else closes a book, and nothing is posted into the past."""
    await connection.execute(SQL["lock_period_locks"])


async def book(connection: Connection, currency: str) -> Book | None:
    """None when no account was ever opened in the currency."""
    row = await connection.fetchrow(SQL["book"], currency)
    return Book(*row) if row else None


async def close(connection: Connection, currency: str, until: datetime) -> ClosedPeriod:
    return ClosedPeriod(*await connection.fetchrow(SQL["close_book"], currency, until))


async def reopen(connection: Connection, currency: str, until: datetime | None) -> ClosedPeriod | None:
    """Closed only for what happened before `until`; None: open."""
    if until is None:
        await connection.execute(SQL["reopen_whole_book"], currency)
        return None
    return ClosedPeriod(*await connection.fetchrow(SQL["reopen_book"], currency, until))


async def closed_periods(connection: Connection) -> list[ClosedPeriod]:
    return [ClosedPeriod(*row) for row in await connection.fetch(SQL["closed_periods"])]


async def period_events(connection: Connection, limit: int, skip: int) -> list[PeriodEvent]:
    return [_event(row) for row in await connection.fetch(SQL["period_events"], limit, skip)]


async def closing_of(connection: Connection, currency: str, until: datetime) -> PeriodEvent | None:
    row = await connection.fetchrow(SQL["closing_of"], currency, until)
    return _event(row) if row else None


def _event(row: Any) -> PeriodEvent:
    return PeriodEvent(*row)
