"""Reading what happened to one account: entries in pages, the balance on both axes of time, its course.

Whoever may not see an account gets the answer of one that does not exist. Nothing here locks: entries never
change, so a stretch of them that was once there reads the same for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from nostro.domain.errors import TooManyEntries, UnknownAccount
from nostro.domain.history import Filters, Place, Stretch, looked_at, stretch_of
from nostro.domain.ids import ObjectId
from nostro.domain.money import INT64_MAX, Currency
from nostro.ledger.calendar import Period, Step, steps_of
from nostro.store import history, transactions
from nostro.store.database import Connection, Database
from nostro.store.history import BalanceAt, EntryRow, Span, StepRow
from nostro.store.transactions import SeenTransaction
from nostro.store.users import User

# How many entries one page looks at for those that its filters keep. A page that finds too few says where
# there is more.
MOST_LOOKED_AT = 2000
# How many entries one series adds up.
MOST_SUMMED = 500_000


class EntriesPage(NamedTuple):
    """`older` and `newer`: where the list goes on on either side; None: it does not, in this direction.

    There is always something newer to ask for, except before a fixed end.
    """

    currency: Currency
    entries: list[EntryRow]
    older: Place | None
    newer: Place | None


class TransactionsPage(NamedTuple):
    """`total`: of everything, or of what was looked at for a filter. `older`: where the list goes on, if it
    does; `newer`: where it is read back, and where what is new will be found."""

    transactions: list[SeenTransaction]
    total: int
    older: Place | None
    newer: Place


class Series(NamedTuple):
    currency: Currency
    steps: list[StepRow]


@dataclass(frozen=True)
class History:
    database: Database

    async def entries(
        self,
        viewer: User,
        account: ObjectId,
        filters: Filters,
        place: Place | None,
        *,
        newest_first: bool,
        limit: int,
    ) -> EntriesPage:
        """A page in the order asked for, `limit` entries at most. Raises `UnknownAccount`.

        What is recorded while pages are turned is newer than all of them
        (tests/contract/test_history.py::test_no_entry_is_skipped_or_seen_twice_while_money_moves).
        """
        async with self.database.connection() as connection:
            span = await span_seen_by(connection, viewer, account, filters.since, filters.until)
            width = MOST_LOOKED_AT if filters.selective else limit
            stretch, downwards = stretch_of(span.stretch, place, newest_first=newest_first, width=width)
            rows = await history.entries_page(
                connection, span, stretch, filters, limit=limit, newest_first=downwards
            )
        done = looked_at(stretch, [row.seq for row in rows], downwards=downwards, limit=limit)
        return EntriesPage(
            span.currency,
            rows if downwards == newest_first else rows[::-1],
            older=Place(done.first, older=True) if done.first > span.stretch.first else None,
            newer=Place(done.last, older=False) if newest_first or done.last < span.stretch.last else None,
        )

    async def transactions(
        self, own: Sequence[ObjectId], filters: Filters, place: Place | None, *, limit: int, skip: int = 0
    ) -> TransactionsPage:
        """Movements of the accounts and holds on them, newest first; `skip` only without a place."""
        narrowed, backwards = filters != Filters(), place is not None and not place.older
        looked_at = limit + skip + 1
        if narrowed:
            looked_at = max(looked_at, MOST_LOOKED_AT // max(len(own), 1))
        edge = min(max(place.edge, 0), INT64_MAX) if place else None
        async with self.database.connection() as connection:
            page = await transactions.page_of_transactions(
                connection,
                own,
                filters,
                before=None if backwards else edge,
                after=edge if backwards else None,
                looked_at=looked_at,
                limit=limit + 1,
                skip=skip,
            )
            total = page.total if narrowed or place else await transactions.count_transactions(connection, own)
        found = page.found[-limit:] if backwards else page.found[:limit]
        left_out = len(page.found) > limit
        return TransactionsPage(found, total, *_sides(found, edge, page.horizon, backwards, left_out))

    async def balance_at(
        self, viewer: User, account: ObjectId, effective_at: datetime | None, known_at: datetime | None
    ) -> BalanceAt:
        """The balance at one moment as far as was known at another; each is now, unless it is earlier.

        Raises `UnknownAccount`.
        """
        async with self.database.connection() as connection:
            found = await history.balance_at(connection, account, _only(viewer), effective_at, known_at)
        if found is None:
            raise UnknownAccount
        return found

    async def series(
        self, viewer: User, account: ObjectId, period: Period, step: Step, zone: ZoneInfo
    ) -> Series:
        """Step by step, by time of recording; what has not begun yet is left out.

        Raises `UnknownAccount`, `InvalidField` (too many steps), `TooManyEntries`.
        """
        moments = steps_of(period, step, zone)
        async with self.database.connection() as connection:
            span = await span_seen_by(connection, viewer, account, period.since, period.until)
            refuse_more_than(MOST_SUMMED, span.stretch)
            # The first step stays, so that a period to come is answered with nothing, not refused.
            begun = [moment for moment in moments if moment <= span.now]
            if len(begun) < len(moments):
                begun.append(span.now)
            steps = await history.series_of(connection, account, begun) if len(begun) > 1 else []
        return Series(span.currency, steps)


async def span_seen_by(
    connection: Connection,
    viewer: User | None,
    account: ObjectId,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Span:
    """Raises `UnknownAccount`, also for an account that is not the viewer's to see."""
    span = await history.account_span(connection, account, _only(viewer), since, until)
    if span is None:
        raise UnknownAccount
    return span


def _sides(
    found: Sequence[SeenTransaction], edge: int | None, horizon: int, backwards: bool, left_out: bool
) -> tuple[Place | None, Place]:
    """Where a page of transactions goes on: with what is older, if there may be any, and with what is newer.

    `edge`: where it began. `horizon`: how far it looked. `left_out`: there was more than it has room for.
    """
    positions = [seen.transaction.position for seen in found]
    if backwards:
        began = edge or 0
        newest = positions[0] if positions else began
        reached = newest if left_out or horizon == INT64_MAX else horizon
        return Place(positions[-1] if positions else began + 1, older=True), Place(reached, older=False)
    reached = positions[-1] if left_out else horizon
    newest = positions[0] if positions else max((edge or horizon) - 1, 0)
    return Place(reached, older=True) if reached else None, Place(newest, older=False)


def _only(viewer: User | None) -> ObjectId | None:
    """Whose accounts the viewer sees: their own, or (None) everybody's. `viewer` None: the command line."""
    return None if viewer is None or viewer.role.sees_all else viewer.id


def refuse_more_than(most: int, stretch: Stretch) -> None:
    entries = stretch.last - stretch.first + 1
    if entries > most:
        raise TooManyEntries(entries, most)
