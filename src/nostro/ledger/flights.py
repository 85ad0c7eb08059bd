"""The batches under way: at most two, or three, and which one may set out next.

The second sets out while the first is under way, once enough wait to be worth a batch of their own: with many
about, nearly half of them, because two batches of one size cost less than a large one and several small. If
they have accounts in common, it is decided on what the first one will leave, and written as soon as that one
is; otherwise they are written side by side. Bulk work has its own place: while there are single requests, it is
one of two at most, and one request is enough for a batch beside it.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nostro.domain.ids import ObjectId
from nostro.ledger.queue import Batch, Queue, accounts_of
from nostro.store.optimistic import Written

MOST_IN_FLIGHT = 2
# To PostgreSQL a batch costs as much as eight transfers before there is one in it.
WORTH_A_SECOND = 8
# Of all who are about: two batches of about the same size are under way most of the time.
SHARE_OF_THE_SECOND = 0.42
_REMEMBERED_AFTER_A_LANDING = 0.9


@dataclass(eq=False)
class Flight:
    """A batch under way, and the accounts that it names.

    `after`: those that are to be written before it. `is_short`: its next attempt goes the short way.
    `is_decided`: what it will leave is known, so that the next one can be decided on that. `written`: what
    became known when it was written the short way.
    """

    batch: Batch
    accounts: set[ObjectId]
    after: "list[Flight]"
    is_short: bool = False
    is_decided: bool = False
    written: Written | None = None
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _is_awaited: bool = False

    async def turn(self) -> list[Written | None]:
        """Wait until those before it are written, or have failed for good, and tell what each has written."""
        for other in self.after:
            other._is_awaited = True
            await other._over.wait()
        return [other.written for other in self.after]

    async def hand_over(self, written: Written) -> None:
        """It is written. Whoever is after it is sent to the database before anyone is told here, and before the
        one that it came after is let go of, which takes a millisecond and a half if that was a chunk of a
        thousand: the database has nothing to do meanwhile."""
        self.written = written
        self._over.set()
        if self._is_awaited:
            await asyncio.sleep(0)
        self.after = []

    def is_over(self) -> None:
        """It is written, or has failed for good: whoever is after it can go on."""
        self.after = []
        self._over.set()


@dataclass
class Flights:
    queue: Queue
    worth_a_second: int = WORTH_A_SECOND
    _flights: "dict[asyncio.Task[None], Flight]" = field(default_factory=dict)
    _passed_over: int = 0
    _about: float = 0

    def __bool__(self) -> bool:
        return bool(self._flights)

    def __iter__(self) -> Iterator[Flight]:
        return iter(self._flights.values())

    def add(self, task: "asyncio.Task[None]", flight: Flight) -> None:
        self._flights[task] = flight

    def decided(self, flight: Flight) -> None:
        """What it will leave is known: those who were passed over because they need its accounts may go now."""
        flight.is_decided = True
        self._passed_over = 0

    def landed(self, task: "asyncio.Task[None]") -> None:
        self._flights.pop(task).is_over()
        self._passed_over = 0
        self._about *= _REMEMBERED_AFTER_A_LANDING

    def next(self) -> Flight | None:
        """Whoever may set out now, taken from the queue. Singles first, because they are quick; but with some
        of them under way it is the turn of bulk work, which they would otherwise starve."""
        if not self.queue:
            return None
        bulk = [flight for flight in self if flight.batch.is_bulk]
        singles = [flight for flight in self if not flight.batch.is_bulk]
        under_way = sum(len(flight.batch.waiters) for flight in singles)
        self._about = max(self._about, self.queue.singles + under_way)
        if len(self._flights) >= MOST_IN_FLIGHT and (singles or not self.queue.singles):
            return None
        if self.queue.has_bulk and self._may_follow(bulk) and (singles or not self.queue.singles):
            return self._prepared(self.queue.take_bulk(), bulk)
        batch = self._singles_beside(singles)
        return None if batch is None else self._prepared(batch, [])

    def _may_follow(self, bulk: list[Flight]) -> bool:
        """Whether a chunk may set out beside `bulk`: only when no single request is about, and only when it can
        be decided on the one before it."""
        return not bulk or (self.queue.is_quiet and len(bulk) == 1 and bulk[0].is_decided)

    def _singles_beside(self, others: list[Flight]) -> Batch | None:
        """Those that need no account of the `others`, if they are enough: they are written side by side. If
        not, whoever waits: they are written as soon as those are."""
        few = self.worth_a_second if others else 1
        enough = max(few, int(self._about * SHARE_OF_THE_SECOND)) if others else 1
        if self.queue.singles < max(enough, self._passed_over + few):
            return None
        batch = self.queue.take_singles(_accounts(others), enough)
        if batch is None:
            undecided = _accounts(flight for flight in others if not flight.is_decided)
            batch = self.queue.take_singles(undecided, enough)
        self._passed_over = self.queue.singles if batch is None else 0
        return batch

    def _prepared(self, batch: Batch, bulk: list[Flight]) -> Flight:
        """The short way is for those whose accounts nobody is moving, or in a way that is known."""
        accounts = accounts_of(batch.waiters)
        touching = [flight for flight in self if not accounts.isdisjoint(flight.accounts)]
        is_short = all(flight.is_decided for flight in touching)
        after = [flight for flight in self if flight in bulk or (is_short and flight in touching)]
        return Flight(batch, accounts, after, is_short)


def _accounts(flights: Iterable[Flight]) -> set[ObjectId]:
    return set[ObjectId]().union(*(flight.accounts for flight in flights))
