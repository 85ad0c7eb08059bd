"""Statements: what an account had when a period began, every line of it, and what it had in the end.

A statement is a stretch of entries that is fixed before its first line is read, so it is whole and the same
however long it is read and whatever is recorded meanwhile. Its lines lead from the opening to the closing
balance, or there is no statement (tests/contract/test_statements.py).
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

from nostro.domain.history import Filters, Stretch
from nostro.domain.ids import ObjectId
from nostro.domain.transaction import Direction
from nostro.ledger.calendar import Period
from nostro.ledger.history import refuse_more_than, span_seen_by
from nostro.store import history
from nostro.store.database import Database
from nostro.store.history import EntryRow, Span
from nostro.store.users import User

# How many lines a statement in one piece may have; CSV comes in pieces and has no bound.
MOST_LINES = 2000
_PIECE = 500


class Statement(NamedTuple):
    """`opening` and `closing` are minor units of the span's currency."""

    span: Span
    period: Period
    zone: ZoneInfo
    opening: int
    closing: int


class DoesNotReconcileError(Exception):
    """The lines do not lead from the opening to the closing balance: the ledger is not sound."""


def signed(line: EntryRow) -> int:
    return line.amount if line.direction is Direction.CREDIT else -line.amount


@dataclass(frozen=True)
class Statements:
    database: Database

    async def of(self, viewer: User | None, account: ObjectId, period: Period, zone: ZoneInfo) -> Statement:
        """By time of recording. `viewer` None: the command line. Raises `UnknownAccount`."""
        async with self.database.connection() as connection:
            span = await span_seen_by(connection, viewer, account, period.since, period.until)
            opening, closing = await history.balances_around(connection, span.account, span.stretch)
        return Statement(span, period, zone, opening, closing)

    async def lines(self, statement: Statement) -> AsyncIterator[list[EntryRow]]:
        """Oldest first, in pieces; no connection is held between two of them.

        Raises `DoesNotReconcileError` at the end, unless opening and lines make the closing.
        """
        first, last = statement.span.stretch
        balance = statement.opening
        while first <= last:
            stretch = Stretch(first, min(last, first + _PIECE - 1))
            async with self.database.connection() as connection:
                piece = await history.entries_page(
                    connection, statement.span, stretch, Filters(), limit=_PIECE, newest_first=False
                )
            balance += sum(signed(line) for line in piece)
            yield piece
            first = stretch.last + 1
        if balance != statement.closing:
            raise DoesNotReconcileError(f"the statement ends with {balance}, not with {statement.closing}")

    async def whole(self, statement: Statement) -> list[EntryRow]:
        """All lines at once. Raises `TooManyEntries`."""
        refuse_more_than(MOST_LINES, statement.span.stretch)
        return [line async for piece in self.lines(statement) for line in piece]
