"""The committer: one commit serves everyone who is waiting.

There is no timer: while a batch commits, the next one gathers. Nobody is answered before the commit. How a
batch is committed, in one statement or under the lock, is told in attempts.py.

A COMMIT whose answer is lost leaves three outcomes: done, not done, unknown. It is settled by running the
same batch again on a new connection, under the lock. Its locks are granted only once the lost transaction has
ended, so its keys, read after that, tell the truth: a transaction found under its request's own id is this
batch's own work (Posted, not replayed); what is not found did not happen, and happens now. Only when that
cannot be finished before the request's deadline is the answer `OutcomeUnknown`
(tests/fault/test_lost_commit.py proves each of the three). The other way round, whoever is told before the
COMMIT that nothing was done is taken out of the batch first, so that it stays true
(test_who_was_told_that_nothing_was_done_finds_nothing_done).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import structlog

from nostro.domain.books import Outcome, Policy
from nostro.domain.errors import NostroError, OutcomeUnknown, Overloaded
from nostro.domain.ids import ObjectId
from nostro.domain.requests import Request
from nostro.ledger.attempts import Answers, Attempts, SomeoneLeft, accounts_of
from nostro.ledger.counts import Counts
from nostro.ledger.queue import Batch, Queue, Waiter
from nostro.store import journal
from nostro.store.database import Database
from nostro.store.failures import is_connection_lost, is_transient

log = structlog.get_logger(__name__)

DEADLINE_S = 5.0
BULK_DEADLINE_S = 60.0
_HOUSEKEEPING_S = 0.25
MOST_IN_FLIGHT = 2
WORTH_A_SECOND = 16
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5

Way = Callable[[Any, Batch], Awaitable[Answers]]


class Flight(NamedTuple):
    """A batch under way, and the accounts that it names."""

    batch: Batch
    accounts: set[ObjectId]


@dataclass
class Committer:
    """Gathers requests and commits them in batches, at most two in flight. Use as `async with`.

    The second sets out while the first is under way, once enough wait to be worth a batch of their own: it is
    decided while the first one is written and synced. Locks decide which commits first. Of two, at most one is
    bulk work; beside it a single request is enough for a batch.
    """

    database: Database
    policy: Policy
    deadline_s: float = DEADLINE_S
    queue: Queue = field(default_factory=Queue)
    counts: Counts = field(default_factory=Counts)
    worth_a_second: int = WORTH_A_SECOND
    optimistic: bool = True
    _in_flight: dict[asyncio.Task[None], Flight] = field(default_factory=dict)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _watch: asyncio.Task[None] | None = None
    _called: bool = False
    _passed_over: int = 0
    _closing: bool = False

    def __post_init__(self) -> None:
        self.attempts = Attempts(self.policy)

    async def __aenter__(self) -> "Committer":
        self._idle.set()
        self._watch = asyncio.create_task(self._watch_deadlines())
        return self

    async def __aexit__(self, *_: object) -> None:
        """What was accepted is finished first; each request's deadline bounds the wait."""
        await self._idle.wait()
        self._closing = True
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    def enqueue(self, request: Request, also_lock: Sequence[ObjectId] = ()) -> "asyncio.Future[Outcome]":
        """The outcome, once it is committed. `also_lock`: accounts it may turn out to need besides its own.

        Raises `Overloaded` when too many wait, or at the end of the process. Whoever awaits it shields it:
        cancelling the wait must not cancel the request.
        """
        loop = asyncio.get_running_loop()
        waiter = Waiter(
            request, [*request.accounts, *also_lock], loop.create_future(), loop.time() + self.deadline_s
        )
        self._refuse_if_closing()
        self.queue.add(waiter)
        self._wake()
        return waiter.answer

    def enqueue_bulk(self, requests: Sequence[Request], *, together: bool) -> "list[asyncio.Future[Outcome]]":
        """The outcome of each request, once it is committed; `together`: of all of them or of none.

        Bulk work is cut into chunks that leave the single requests their room (ledger/queue.py); what is
        `together` cannot be cut. Raises `Overloaded` like `enqueue`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self.deadline_s if together else BULK_DEADLINE_S)
        waiters = [Waiter(request, request.accounts, loop.create_future(), deadline) for request in requests]
        self._refuse_if_closing()
        self.queue.add_bulk(waiters, together=together)
        self._wake()
        return [waiter.answer for waiter in waiters]

    def _refuse_if_closing(self) -> None:
        if self._closing:
            raise Overloaded

    def _wake(self) -> None:
        """What arrives in the same turn of the loop sets out together."""
        self._idle.clear()
        if not self._called:
            self._called = True
            asyncio.get_running_loop().call_soon(self._set_out)

    def _set_out(self) -> None:
        self._called = False
        while (batch := self._next()) is not None:
            flight = Flight(batch, accounts_of(batch.waiters))
            task = asyncio.create_task(self._fly(batch, self._way_of(flight)))
            self._in_flight[task] = flight
            task.add_done_callback(self._landed)
        if not self.queue and not self._in_flight:
            self._idle.set()

    def _next(self) -> Batch | None:
        """The batch that may set out now. Singles first, because they are quick; but with some of them under
        way it is the turn of bulk work, which they would otherwise starve."""
        if len(self._in_flight) >= MOST_IN_FLIGHT:
            return None
        under_way = {flight.batch.is_bulk for flight in self._in_flight.values()}
        if self.queue.has_bulk and True not in under_way and (False in under_way or not self.queue.singles):
            return self.queue.take_bulk()
        enough = self.worth_a_second if False in under_way else 1
        if self.queue.singles < self._passed_over + enough:
            return None
        # Not what bulk work is moving, perhaps for long: the lock lets a single request in between chunks.
        busy = set[ObjectId]().union(*(f.accounts for f in self._in_flight.values() if not f.batch.is_bulk))
        batch = self.queue.take_singles(busy, enough)
        self._passed_over = self.queue.singles if batch is None else 0
        return batch

    def _way_of(self, flight: Flight) -> Way:
        """The short way, unless another batch is moving what this one would be decided on."""
        alone = all(flight.accounts.isdisjoint(other.accounts) for other in self._in_flight.values())
        if self.optimistic and alone and self.attempts.heads.trusted():
            return self.attempts.if_unchanged
        return self.attempts.under_lock

    def _landed(self, task: asyncio.Task[None]) -> None:
        del self._in_flight[task]
        self._passed_over = 0
        self._set_out()

    async def submit(self, request: Request, also_lock: Sequence[ObjectId] = ()) -> Outcome:
        """`enqueue`, awaited; cancelling the caller does not cancel the request."""
        return await asyncio.shield(self.enqueue(request, also_lock))

    async def _fly(self, batch: Batch, way: Way) -> None:
        taken_at = asyncio.get_running_loop().time()
        self._bound(batch)
        try:
            await self._settle(batch, way)
        except (Exception, asyncio.CancelledError):
            # Whatever a driver or a log that nobody reads may raise: nobody waits for ever for an answer.
            for waiter in batch.waiters:
                waiter.give_up()
            with contextlib.suppress(Exception):
                log.exception("committer_failed", waiting=len(batch.waiters))
        self.counts.batch(len(batch.waiters), asyncio.get_running_loop().time() - taken_at, self.queue)

    def _bound(self, batch: Batch) -> None:
        """Bulk work may wait longer than single requests, but once it is under way they wait for it."""
        latest = asyncio.get_running_loop().time() + self.deadline_s
        for waiter in batch.waiters:
            waiter.deadline = min(waiter.deadline, latest)

    async def _watch_deadlines(self) -> None:
        """Nobody waits past the deadline, not even for a server that was stopped in its tracks."""
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            now = asyncio.get_running_loop().time()
            for flight in self._in_flight.values():
                for waiter in flight.batch.waiters:
                    if waiter.deadline <= now:
                        waiter.give_up()
            self.queue.expire(now)

    async def _settle(self, batch: Batch, way: Way) -> None:
        """Commit the batch, however many attempts it takes within its deadline, and answer every waiter.

        Only the first attempt may go the short `way`. A failure nobody expected halves the batch until the
        culprit stands alone, so that it harms no one else.
        """
        pause = _FIRST_PAUSE_S
        while (batch := _still_waiting(batch)).waiters:
            attempt, way = way, self.attempts.under_lock
            try:
                answers = await self._attempt(batch, attempt)
            except SomeoneLeft:
                continue
            except Exception as error:
                if attempt != way and not is_connection_lost(error):
                    continue
                if is_transient(error) or is_connection_lost(error):
                    log.warning("batch_repeated", reason=type(error).__name__, requests=len(batch.waiters))
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE_S)
                    continue
                if batch.together or len(batch.waiters) == 1:
                    log.exception("request_failed", request=batch.waiters[0].request.id.hex())
                    for waiter in batch.waiters:
                        waiter.settle(OutcomeUnknown() if waiter.may_have_happened else NostroError())
                    return
                half = len(batch.waiters) // 2
                await self._settle(Batch(batch.waiters[:half]), way)
                batch = Batch(batch.waiters[half:])
                continue
            for waiter, outcome in answers:
                waiter.settle(outcome)

    async def _attempt(self, batch: Batch, way: Way) -> Answers:
        async with asyncio.timeout_at(max(waiter.deadline for waiter in batch.waiters)):
            connection = await self.database.acquire_committer()
            broken = True
            try:
                answers = await way(connection, batch)
                broken = False
            except Exception as error:
                if not is_connection_lost(error):
                    await journal.rollback(connection)
                    broken = False
                raise
            finally:
                await self.database.release_committer(connection, broken=broken)
        return answers


def _still_waiting(batch: Batch) -> Batch:
    """The batch without those who were answered meanwhile; an all-or-nothing batch is over with the first."""
    left = [waiter for waiter in batch.waiters if not waiter.answer.done()]
    if batch.together and len(left) < len(batch.waiters):
        for waiter in left:
            waiter.give_up()
        left = []
    return batch._replace(waiters=left)
