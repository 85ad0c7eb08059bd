"""Closing the book of a currency for what happened before a moment, and opening it again.

A closed book takes nothing that is said to have happened before, but what an operator or a system user
marks as a restatement. No batch that has looked at the locks is under way while they change, so whatever
is recorded into the period after its closing stands behind the closing in the journal
(tests/concurrency/test_period_races.py).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nostro.domain.errors import InvalidField, NotOperator, PeriodConflict, UnknownCurrency
from nostro.domain.event import shown_time
from nostro.domain.user import Role
from nostro.ledger.users import valid_name
from nostro.store import journal, periods
from nostro.store.database import Connection, Database
from nostro.store.periods import Book, ClosedPeriod, PeriodEvent
from nostro.store.users import User

# A batch reads the clock before it commits. Every wait in it is bounded by seconds, so what was decided a
# minute ago is in the journal, and nothing else will ever be recorded with a time that old.
YOUNGEST = timedelta(minutes=1)


@dataclass(frozen=True)
class Periods:
    database: Database

    async def close(self, actor: User | None, currency: str, until: datetime, reason: str) -> ClosedPeriod:
        """Close for what happened before `until`. `actor` None: the command line.

        Raises `NotOperator`, `UnknownCurrency`, `InvalidField` (less than a minute ago), `PeriodConflict`
        (closed that far already).
        """
        _refuse_others(actor)
        reason = valid_name(reason, "reason")
        async with self.database.transaction() as connection:
            book = await _locked(connection, currency)
            if until > book.now - YOUNGEST:
                raise InvalidField("until", "must be at least a minute ago: only what is over can be closed")
            if book.closed_until is not None and until <= book.closed_until:
                raise _conflict(book)
            closed = await periods.close(connection, currency, until)
            told = _told(book, until, reason)
            await journal.append_event(connection, "PERIOD_CLOSED", actor=actor and actor.id, **told)
        return closed

    async def reopen(
        self, actor: User | None, currency: str, until: datetime | None, reason: str
    ) -> ClosedPeriod | None:
        """Leave it closed only for what happened before `until`; None: for nothing.

        Raises `NotOperator`, `UnknownCurrency`, `PeriodConflict` (not closed that far).
        """
        _refuse_others(actor)
        reason = valid_name(reason, "reason")
        async with self.database.transaction() as connection:
            book = await _locked(connection, currency)
            if book.closed_until is None or (until is not None and until >= book.closed_until):
                raise _conflict(book)
            closed = await periods.reopen(connection, currency, until)
            told = _told(book, until, reason)
            await journal.append_event(connection, "PERIOD_REOPENED", actor=actor and actor.id, **told)
        return closed

    async def closed(self) -> list[ClosedPeriod]:
        """The books that are closed, by currency."""
        async with self.database.connection() as connection:
            return await periods.closed_periods(connection)

    async def events(self, *, limit: int, skip: int = 0) -> list[PeriodEvent]:
        """Who closed and reopened what, newest first."""
        async with self.database.connection() as connection:
            return await periods.period_events(connection, limit, skip)


def _refuse_others(actor: User | None) -> None:
    if actor is not None and actor.role is not Role.OPERATOR:
        raise NotOperator


async def _locked(connection: Connection, currency: str) -> Book:
    """Two statements: the second must see what the lock waited for."""
    await periods.lock_books(connection)
    book = await periods.book(connection, currency)
    if book is None:
        raise UnknownCurrency(f"There is no account in {currency}")
    return book


def _conflict(book: Book) -> PeriodConflict:
    if book.closed_until is None:
        return PeriodConflict("The book is not closed")
    return PeriodConflict(closedUntil=book.closed_until)


def _told(book: Book, after: datetime | None, reason: str) -> dict[str, Any]:
    """What the event says of how far the book is closed."""
    return {
        "currency": book.currency,
        "before": shown_time(book.closed_until) if book.closed_until else None,
        "after": shown_time(after) if after else None,
        "reason": reason,
    }
