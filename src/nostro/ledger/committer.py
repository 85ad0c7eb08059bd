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
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from nostro.domain.books import Outcome, Policy
from nostro.domain.errors import NostroError, OutcomeUnknown, Overloaded, StorageFull
from nostro.domain.ids import ObjectId
from nostro.domain.requests import Request
from nostro.ledger.attempts import Answers, Attempts, Place, SomeoneFailed, SomeoneLeft
from nostro.ledger.counts import Counts
from nostro.ledger.flights import Flight, Flights
from nostro.ledger.queue import Batch, Queue, Share, Waiter, Whole
from nostro.ledger.recent import Recent
from nostro.store import journal
from nostro.store.database import Database
from nostro.store.failures import is_connection_lost, is_passing, is_storage_full

log = structlog.get_logger(__name__)

DEADLINE_S = 5.0
BULK_DEADLINE_S = 60.0
_HOUSEKEEPING_S = 0.25
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5


@dataclass
class Committer:
    """Gathers requests and commits them in batches (which when: flights.py). Use as `async with`."""

    database: Database
    policy: Policy
    deadline_s: float = DEADLINE_S
    queue: Queue = field(default_factory=Queue)
    counts: Counts = field(default_factory=Counts)
    recent: Recent = field(default_factory=Recent)
    optimistic: bool = True
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _watch: asyncio.Task[None] | None = None
    _called: bool = False
    _lost: int = 0
    _closing: bool = False

    def __post_init__(self) -> None:
        self.attempts = Attempts(self.policy, self.recent)
        self.flights = Flights(self.queue)

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
        answer: asyncio.Future[Outcome] = loop.create_future()
        waiter = Waiter(request, [*request.accounts, *also_lock], answer, loop.time() + self.deadline_s)
        self._refuse_if_closing()
        self.queue.add(waiter)
        self._wake()
        return answer

    def enqueue_bulk(self, requests: Sequence[Request], *, together: bool) -> "asyncio.Future[list[Outcome]]":
        """The outcomes of all requests, once they are committed; `together`: all of them or none.

        Bulk work is cut into chunks that leave the single requests their room (ledger/queue.py); what is
        `together` cannot be cut. Raises `Overloaded` like `enqueue`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self.deadline_s if together else BULK_DEADLINE_S)
        whole = Whole(len(requests))
        waiters = [
            Waiter(request, request.accounts, Share(whole, index), deadline)
            for index, request in enumerate(requests)
        ]
        self._refuse_if_closing()
        self.queue.add_bulk(waiters, together=together)
        self._wake()
        return whole.answer

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
        while (flight := self.flights.next()) is not None:
            flight.is_short = flight.is_short and self.optimistic and self.attempts.heads.trusted()
            task = asyncio.create_task(self._fly(flight))
            self.flights.add(task, flight)
            task.add_done_callback(self._landed)
        if not self.queue and not self.flights:
            self._idle.set()

    def _landed(self, task: asyncio.Task[None]) -> None:
        self.flights.landed(task)
        self._set_out()

    async def submit(self, request: Request, also_lock: Sequence[ObjectId] = ()) -> Outcome:
        """`enqueue`, awaited; cancelling the caller does not cancel the request."""
        return await asyncio.shield(self.enqueue(request, also_lock))

    async def _fly(self, flight: Flight) -> None:
        batch = flight.batch
        taken_at = asyncio.get_running_loop().time()
        self._bound(batch)
        try:
            await self._settle(batch, flight)
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
            for flight in self.flights:
                for waiter in flight.batch.waiters:
                    if waiter.deadline <= now:
                        waiter.give_up()
            self.queue.expire(now)

    async def _settle(self, batch: Batch, flight: Flight) -> None:
        """Commit the batch, however many attempts it takes within its deadline, and answer every waiter.

        Only the first attempt may go the short way. A failure nobody expected halves the batch until the
        culprit stands alone, so that it harms no one else.
        """
        pause = _FIRST_PAUSE_S
        while (batch := _still_waiting(batch)).waiters:
            was_short = flight.is_short
            try:
                answers = await self._attempt(batch, flight)
            except (SomeoneLeft, SomeoneFailed):
                continue
            except Exception as error:
                if was_short and not is_connection_lost(error):
                    continue
                if is_storage_full(error):
                    _tell_that_there_is_no_room(batch)
                if is_passing(error):
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
                await self._settle(Batch(batch.waiters[:half]), flight)
                batch = Batch(batch.waiters[half:])
                continue
            for waiter, outcome in answers:
                waiter.settle(outcome)

    async def _attempt(self, batch: Batch, flight: Flight) -> Answers:
        short, flight.is_short, flight.is_decided = flight.is_short, False, False
        async with asyncio.timeout_at(max(waiter.deadline for waiter in batch.waiters)):
            if not short:
                await flight.turn()
            connection = await self.database.acquire_committer()
            self._forget_what_another_server_said()
            broken = True
            try:
                if short:
                    answers = await self.attempts.if_unchanged(connection, batch, self._place_of(flight))
                else:
                    answers = await self.attempts.under_lock(connection, batch)
                broken = False
            except Exception as error:
                if not is_connection_lost(error):
                    await journal.rollback(connection)
                    broken = False
                raise
            finally:
                await self.database.release_committer(connection, broken=broken)
        return answers

    def _place_of(self, flight: Flight) -> Place:
        def decided() -> None:
            self.flights.decided(flight)
            if self.queue:
                self._wake()

        return Place(decided, flight.turn, flight.hand_over)

    def _forget_what_another_server_said(self) -> None:
        """After a failover what is remembered may be of commits that the new server never had."""
        if self.database.committers_lost != self._lost:
            self._lost = self.database.committers_lost
            self.attempts.heads.forget_everything()


def _tell_that_there_is_no_room(batch: Batch) -> None:
    """All but those of a COMMIT that was lost before: of them there is still something to learn."""
    for waiter in batch.waiters:
        if not waiter.may_have_happened:
            waiter.settle(StorageFull())


def _still_waiting(batch: Batch) -> Batch:
    """The batch without those who were answered meanwhile; an all-or-nothing batch is over with the first."""
    left = [waiter for waiter in batch.waiters if not waiter.answer.done()]
    if batch.together and len(left) < len(batch.waiters):
        for waiter in left:
            waiter.give_up()
        left = []
    return batch._replace(waiters=left)
