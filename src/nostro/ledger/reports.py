"""What all books together say, for those who answer for them: operators and auditors.

A report is one snapshot. Told at a position it is the same for ever; told without one it names the position it
was made at, so that it can be asked for again. One report at a time is made in a process: it reads every
account.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from nostro.domain.errors import NotAuditor, NotFound, Overloaded, UnknownPosition
from nostro.domain.ids import ObjectId
from nostro.store import periods, reports
from nostro.store.database import Connection, Database
from nostro.store.periods import PeriodEvent
from nostro.store.reports import Cut, RestatedRow, Sum
from nostro.store.users import User

MOST_WAITING = 4
# How many late entries one page looks at for those of the period.
MOST_LOOKED_AT = 2000
_BEFORE_ALL = ObjectId(b"")


class Grouping(Enum):
    CURRENCY = "currency"
    KIND = "kind"
    OWNER = "owner"


class Balances(NamedTuple):
    """Sums at a cut. `names`: of the owners among them. `onwards`: the last owner of a page that goes on."""

    position: int | None
    at: datetime | None
    sums: list[Sum]
    names: dict[ObjectId, str]
    onwards: ObjectId | None


class Restatements(NamedTuple):
    """`onwards`: the last late entry looked at, by account and seq, if there are more."""

    closing: PeriodEvent
    entries: list[RestatedRow]
    onwards: tuple[ObjectId, int] | None


@dataclass
class Reports:
    database: Database
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _waiting: int = 0

    async def balances(
        self,
        viewer: User | None,
        grouping: Grouping,
        cut: Cut,
        *,
        after: ObjectId = _BEFORE_ALL,
        limit: int = 0,
    ) -> Balances:
        """What the accounts add up to; by owner, of `limit` owners behind `after`. `viewer` None: the
        command line.

        A moment that lies in the future is now. Raises `NotAuditor`, `UnknownPosition`, `Overloaded`.
        """
        _refuse_others(viewer)
        async with self._snapshot() as connection:
            head, now = await reports.journal_now(connection)
            if cut.position is not None and cut.position > head:
                raise UnknownPosition
            if cut.at is not None:
                cut = Cut(at=min(cut.at, now))
            owners = await reports.owners_page(connection, after, limit) if grouping is Grouping.OWNER else None
            wanted = None if owners is None else [owner for owner, _ in owners]
            sums = await reports.balances_by(connection, grouping.value, cut, wanted)
        return Balances(
            position=cut.position if cut != Cut() else head,
            at=cut.at,
            sums=sums,
            names=dict(owners or ()),
            onwards=owners[-1][0] if owners and len(owners) == limit else None,
        )

    async def restatements(
        self,
        viewer: User | None,
        currency: str,
        until: datetime,
        *,
        after: tuple[ObjectId, int] = (_BEFORE_ALL, 0),
        limit: int,
    ) -> Restatements:
        """What was recorded after the book was first closed up to `until`, and is said to have happened before.

        Raises `NotAuditor`, and `NotFound` when the book was never closed as far as that.
        """
        _refuse_others(viewer)
        async with self.database.connection() as connection:
            closing = await periods.closing_of(connection, currency, until)
            if closing is None:
                raise NotFound("The book was never closed as far as this")
            entries = await reports.restatements_page(
                connection,
                currency=currency,
                position=closing.position,
                until=until,
                after=after,
                limit=limit,
                looked_at=MOST_LOOKED_AT,
            )
            if len(entries) == limit:
                onwards: tuple[ObjectId, int] | None = (entries[-1].account, entries[-1].seq)
            else:
                onwards = await reports.late_entry_after(connection, after, MOST_LOOKED_AT)
        return Restatements(closing, entries, onwards)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Connection]:
        if self._waiting >= MOST_WAITING:
            raise Overloaded
        self._waiting += 1
        try:
            async with self._one_at_a_time, reports.snapshot(self.database) as connection:
                yield connection
        finally:
            self._waiting -= 1


def _refuse_others(viewer: User | None) -> None:
    if viewer is not None and not viewer.role.sees_all:
        raise NotAuditor
