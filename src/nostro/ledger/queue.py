"""Who is committed next: single requests in their order, and beside them bulk work, each bulk in its turn.

Singles and bulk work are never in one batch, so that a single request never waits for a chunk to be decided
and written with it. Chunks are small while there are singles or were a moment ago, and several bulks then get
one in turn; left to themselves they get two, so that while one is answered and sends its next, another is
written, and after a while twice as large ones. An all-or-nothing bulk cannot be cut: it is a batch of its own.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from nostro.domain.books import Outcome
from nostro.domain.errors import DatabaseUnavailable, OutcomeUnknown, Overloaded
from nostro.domain.ids import ObjectId
from nostro.domain.requests import Request

MAX_BATCH = 512
CHUNK = 32
CHUNKS_IN_A_QUIET_TURN = 2
# Whoever sends the next request when the last one is answered is back by then.
BATCHES_UNTIL_QUIET = 16
# Two seconds later. A bulk is done a fifteenth sooner then; whoever comes first waits twice as long.
BATCHES_UNTIL_DOUBLE = 4 * BATCHES_UNTIL_QUIET
MAX_WAITING = 4096
MAX_WAITING_IN_BULK = 40_000


class Answer(Protocol):
    """A future, or a share of one."""

    def done(self) -> bool: ...
    def set_result(self, outcome: Outcome, /) -> None: ...


class Whole:
    """The answers to `number` requests of one caller in their order, there when the last one is. A future for
    each request would take a thirtieth of all the time that a request takes in this process."""

    def __init__(self, number: int) -> None:
        self.answer: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self.outcomes: list[Outcome | None] = [None] * number
        self._missing = number

    def add(self, index: int, outcome: Outcome) -> None:
        self.outcomes[index] = outcome
        self._missing -= 1
        if self._missing == 0 and not self.answer.done():
            self.answer.set_result([outcome for outcome in self.outcomes if outcome is not None])


class Share:
    """The answer to request number `index` of a whole, which does not know its shares: a circle of them would
    be kept until the next collection of garbage, with all that was answered."""

    __slots__ = ("_index", "_whole")

    def __init__(self, whole: Whole, index: int) -> None:
        self._whole = whole
        self._index = index

    def done(self) -> bool:
        return self._whole.outcomes[self._index] is not None or self._whole.answer.done()

    def set_result(self, outcome: Outcome) -> None:
        self._whole.add(self._index, outcome)


@dataclass(slots=True)
class Waiter:
    """A request and who waits for it. `accounts`: those it names, and those it may turn out to need.
    `may_have_happened`: a COMMIT that held it was sent and not answered."""

    request: Request
    accounts: Sequence[ObjectId]
    answer: Answer
    deadline: float
    may_have_happened: bool = False

    def settle(self, outcome: Outcome) -> None:
        if not self.answer.done():
            self.answer.set_result(outcome)

    def give_up(self) -> None:
        self.settle(OutcomeUnknown() if self.may_have_happened else DatabaseUnavailable())


class Batch(NamedTuple):
    """What is committed in one transaction; `together`: all or nothing."""

    waiters: Sequence[Waiter]
    together: bool = False
    is_bulk: bool = False


@dataclass
class Queue:
    max_batch: int = MAX_BATCH
    chunk: int = CHUNK
    max_waiting: int = MAX_WAITING
    _singles: deque[Waiter] = field(default_factory=deque)
    _bulks: deque[tuple[deque[Waiter], bool]] = field(default_factory=deque)
    _in_bulk: int = 0
    _chunks_in_this_turn: int = 0
    _without_singles: int = BATCHES_UNTIL_QUIET

    def __bool__(self) -> bool:
        return bool(self._singles or self._bulks)

    def lengths(self) -> tuple[int, int]:
        """How many single requests wait, and how many in bulk."""
        return len(self._singles), self._in_bulk

    @property
    def singles(self) -> int:
        """How many single requests wait."""
        return len(self._singles)

    @property
    def has_bulk(self) -> bool:
        return bool(self._bulks)

    @property
    def is_quiet(self) -> bool:
        """Whether bulk work has been alone for a while."""
        return self._without_singles >= BATCHES_UNTIL_QUIET

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

    def take_singles(self, busy: Set[ObjectId] = frozenset(), at_least: int = 1) -> Batch | None:
        """The single requests that wait, in their order, up to a batch; None if fewer than `at_least` may go.

        Whoever needs an account that is `busy` with another batch stays, and so does whoever comes later and
        needs an account of theirs: nobody is overtaken for ever.
        """
        if len(self._singles) < at_least:
            return None
        going = list(itertools.islice(self._singles, self.max_batch))
        staying: list[Waiter] = []
        if busy:
            going, staying = _parted(going, set(busy))
        if len(going) < at_least:
            return None
        for _ in range(len(going) + len(staying)):
            self._singles.popleft()
        self._singles.extendleft(reversed(staying))
        self._without_singles = 0
        return Batch(going)

    def take_bulk(self) -> Batch:
        """The next chunk of bulk work, or an all-or-nothing bulk whose turn it is. Some must wait."""
        bulk, together = self._bulks[0]
        most = len(bulk) if together else self._most_in_a_chunk()
        self._without_singles += 1
        chunk = [bulk.popleft() for _ in range(min(len(bulk), most))]
        self._in_bulk -= len(chunk)
        self._chunks_in_this_turn += 1
        if not bulk or not self.is_quiet or self._chunks_in_this_turn >= CHUNKS_IN_A_QUIET_TURN:
            self._end_turn()
        return Batch(chunk, together, is_bulk=True)

    def _most_in_a_chunk(self) -> int:
        if not self.is_quiet:
            return self.chunk
        return self.max_batch * (2 if self._without_singles >= BATCHES_UNTIL_DOUBLE else 1)

    def _end_turn(self) -> None:
        """The first bulk goes behind the others, if anything of it is left."""
        bulk, together = self._bulks.popleft()
        if bulk:
            self._bulks.append((bulk, together))
        self._chunks_in_this_turn = 0

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


def accounts_of(waiters: Sequence[Waiter]) -> set[ObjectId]:
    """All that any of them needs."""
    wanted: set[ObjectId] = set()
    for waiter in waiters:
        wanted.update(waiter.accounts)
    return wanted


def _parted(waiters: Sequence[Waiter], busy: set[ObjectId]) -> tuple[list[Waiter], list[Waiter]]:
    """Those who need none of `busy`, nor what one before them needs who needs one; and the others."""
    going: list[Waiter] = []
    staying: list[Waiter] = []
    for waiter in waiters:
        if busy.isdisjoint(waiter.accounts):
            going.append(waiter)
        else:
            busy.update(waiter.accounts)
            staying.append(waiter)
    return going, staying
