"""Who is committed next: single requests first, bulk work in the room that is left, each bulk in its turn.

A single request never waits for more than the batch under way and a chunk of bulk work; a bulk is never starved
by singles, because every batch keeps room for a chunk; and of several bulks each gets a chunk in turn. An
all-or-nothing bulk cannot be cut: it is a batch of its own, and takes turns with the singles.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nostro.domain.books import Outcome
from nostro.domain.errors import DatabaseUnavailable, OutcomeUnknown, Overloaded
from nostro.domain.ids import ObjectId
from nostro.domain.requests import Request

MAX_BATCH = 512
CHUNK = 128
MAX_WAITING = 4096
MAX_WAITING_IN_BULK = 40_000


@dataclass(slots=True)
class Waiter:
    """A request and who waits for it. `may_have_happened`: a COMMIT that held it was sent and not answered."""

    request: Request
    also_lock: Sequence[ObjectId]
    answer: "asyncio.Future[Outcome]"
    deadline: float
    may_have_happened: bool = False

    def settle(self, outcome: Outcome) -> None:
        if not self.answer.done():
            self.answer.set_result(outcome)

    def give_up(self) -> None:
        self.settle(OutcomeUnknown() if self.may_have_happened else DatabaseUnavailable())


class Batch(NamedTuple):
    """What is committed together; `together`: all or nothing."""

    waiters: Sequence[Waiter]
    together: bool = False


@dataclass
class Queue:
    max_batch: int = MAX_BATCH
    chunk: int = CHUNK
    max_waiting: int = MAX_WAITING
    _singles: deque[Waiter] = field(default_factory=deque)
    _bulks: deque[tuple[deque[Waiter], bool]] = field(default_factory=deque)
    _in_bulk: int = 0
    _singles_had_their_turn: bool = False

    def __bool__(self) -> bool:
        return bool(self._singles or self._bulks)

    def lengths(self) -> tuple[int, int]:
        """How many single requests wait, and how many in bulk."""
        return len(self._singles), self._in_bulk

    @property
    def singles(self) -> int:
        """How many single requests wait."""
        return len(self._singles)

    def add(self, waiter: Waiter) -> None:
        """Raises `Overloaded` when too many wait."""
        if len(self._singles) >= self.max_waiting:
            raise Overloaded
        self._singles.append(waiter)

    def add_bulk(self, waiters: Sequence[Waiter], *, together: bool) -> None:
        """Raises `Overloaded` when too much bulk work waits."""
        if self._in_bulk + len(waiters) > MAX_WAITING_IN_BULK:
            raise Overloaded
        self._in_bulk += len(waiters)
        self._bulks.append((deque(waiters), together))

    def take(self) -> Batch:
        """The next batch; empty when nobody waits."""
        if self._bulks and self._bulks[0][1] and (self._singles_had_their_turn or not self._singles):
            self._singles_had_their_turn = False
            group, _ = self._bulks.popleft()
            self._in_bulk -= len(group)
            return Batch(group, together=True)
        self._singles_had_their_turn = True
        room = self.max_batch - (self.chunk if self._bulks else 0)
        batch = [self._singles.popleft() for _ in range(min(len(self._singles), room))]
        if self._bulks and not self._bulks[0][1]:
            batch += self._next_chunk(self.chunk if batch else self.max_batch)
        return Batch(batch)

    def _next_chunk(self, size: int) -> list[Waiter]:
        bulk, together = self._bulks.popleft()
        chunk = [bulk.popleft() for _ in range(min(len(bulk), size))]
        self._in_bulk -= len(chunk)
        if bulk:
            self._bulks.append((bulk, together))
        return chunk

    def expire(self, now: float) -> None:
        """Nothing was done for those whose deadline passed while they waited."""
        while self._singles and self._singles[0].deadline <= now:
            self._singles.popleft().settle(Overloaded())
        late = [bulk for bulk, _ in self._bulks if bulk[0].deadline <= now]
        self._bulks = deque(entry for entry in self._bulks if entry[0][0].deadline > now)
        for bulk in late:
            self._in_bulk -= len(bulk)
            for waiter in bulk:
                waiter.settle(Overloaded())
