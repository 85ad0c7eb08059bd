"""The committer: one commit serves everyone who is waiting.

    begin
      1 lock    every account of the batch, in one order         journal.lock_accounts
      2 read    keys, callers, revocations: a LATER statement    journal.read_books
      3 decide  in arrival order, in memory                      domain.posting.decide
      4 write   one statement                                    journal.write_batch
    commit      then answer every waiter

There is no timer: while a batch commits, the next one gathers. Nobody is answered before the commit.

A COMMIT whose answer is lost leaves three outcomes: done, not done, unknown. It is settled by running the
same batch again on a new connection. Its locks are granted only once the lost transaction has ended, so its
keys, read after that, tell the truth: a transaction found under its request's own id is this batch's own
work (Posted, not replayed); what is not found did not happen, and happens now. Only when that cannot be
finished before the request's deadline is the answer `OutcomeUnknown`
(tests/fault/test_lost_commit.py proves each of the three). The other way round, whoever is told before the
COMMIT that nothing was done is taken out of the batch first, so that it stays true
(test_who_was_told_that_nothing_was_done_finds_nothing_done).
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from nostro.domain.books import Books, Outcome, Policy, Posted
from nostro.domain.errors import NostroError, OutcomeUnknown, Overloaded
from nostro.domain.ids import ObjectId
from nostro.domain.posting import decide, decide_together
from nostro.domain.requests import FollowUp, Request
from nostro.ledger.counts import Counts
from nostro.ledger.identity import new_id
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


class _SomeoneLeft(Exception):
    """A waiter was answered while its batch was on the way: the batch is made again without it."""


@dataclass
class Committer:
    """Gathers requests and commits them in batches, at most two in flight. Use as `async with`.

    The second sets out while the first is under way, once enough wait to be worth a batch of their own: it
    locks, reads and decides while the first one is written and synced. The locks decide which commits first.
    Of two, at most one is bulk work; beside it a single request is enough for a batch.
    """

    database: Database
    policy: Policy
    deadline_s: float = DEADLINE_S
    queue: Queue = field(default_factory=Queue)
    counts: Counts = field(default_factory=Counts)
    worth_a_second: int = WORTH_A_SECOND
    _in_flight: dict[asyncio.Task[None], Batch] = field(default_factory=dict)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _watch: asyncio.Task[None] | None = None
    _called: bool = False
    _closing: bool = False

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
        waiter = Waiter(request, also_lock, loop.create_future(), loop.time() + self.deadline_s)
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
        waiters = [Waiter(request, (), loop.create_future(), deadline) for request in requests]
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
            task = asyncio.create_task(self._fly(batch))
            self._in_flight[task] = batch
            task.add_done_callback(self._landed)
        if not self.queue and not self._in_flight:
            self._idle.set()

    def _next(self) -> Batch | None:
        """The batch that may set out now. Singles first, because they are quick; but with some of them under
        way it is the turn of bulk work, which they would otherwise starve."""
        if len(self._in_flight) >= MOST_IN_FLIGHT:
            return None
        under_way = {batch.is_bulk for batch in self._in_flight.values()}
        if self.queue.has_bulk and True not in under_way and (False in under_way or not self.queue.singles):
            return self.queue.take_bulk()
        enough = self.worth_a_second if False in under_way else 1
        return self.queue.take_singles() if self.queue.singles >= enough else None

    def _landed(self, task: asyncio.Task[None]) -> None:
        del self._in_flight[task]
        self._set_out()

    async def submit(self, request: Request, also_lock: Sequence[ObjectId] = ()) -> Outcome:
        """`enqueue`, awaited; cancelling the caller does not cancel the request."""
        return await asyncio.shield(self.enqueue(request, also_lock))

    async def _fly(self, batch: Batch) -> None:
        taken_at = asyncio.get_running_loop().time()
        self._bound(batch)
        try:
            await self._settle(batch)
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
            for batch in self._in_flight.values():
                for waiter in batch.waiters:
                    if waiter.deadline <= now:
                        waiter.give_up()
            self.queue.expire(now)

    async def _settle(self, batch: Batch) -> None:
        """Commit the batch, however many attempts it takes within its deadline, and answer every waiter.

        A failure nobody expected halves the batch until the culprit stands alone, so that it harms no one else.
        """
        pause = _FIRST_PAUSE_S
        while (batch := _still_waiting(batch)).waiters:
            try:
                outcomes = await self._attempt(batch)
            except _SomeoneLeft:
                continue
            except Exception as error:
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
                await self._settle(Batch(batch.waiters[:half]))
                batch = Batch(batch.waiters[half:])
                continue
            for waiter, outcome in zip(batch.waiters, outcomes, strict=True):
                waiter.settle(outcome)
            return

    async def _attempt(self, batch: Batch) -> list[Outcome]:
        async with asyncio.timeout_at(max(waiter.deadline for waiter in batch.waiters)):
            connection = await self.database.acquire_committer()
            broken = True
            try:
                outcomes = await self._transact(connection, batch)
                broken = False
            except Exception as error:
                if not is_connection_lost(error):
                    await journal.rollback(connection)
                    broken = False
                raise
            finally:
                await self.database.release_committer(connection, broken=broken)
        return outcomes

    async def _transact(self, connection: Any, batch: Batch) -> list[Outcome]:
        waiters = batch.waiters
        requests = [waiter.request for waiter in waiters]
        await journal.begin(connection)
        accounts, not_before = await journal.lock_accounts(
            connection,
            _accounts_of(waiters),
            [request.parent for request in requests if isinstance(request, FollowUp)],
        )
        books = await journal.read_books(connection, requests, accounts, not_before, new_id)
        outcomes = (decide_together if batch.together else decide)(requests, books, self.policy)
        if books.transactions:
            await journal.write_batch(connection, books)
        if any(waiter.may_have_happened for waiter in waiters):
            outcomes = [_as_it_happened(*answered, books) for answered in zip(waiters, outcomes, strict=True)]
        if any(waiter.answer.done() for waiter in waiters):
            raise _SomeoneLeft
        for waiter, outcome in zip(waiters, outcomes, strict=True):
            waiter.may_have_happened |= not isinstance(outcome, NostroError)
        await journal.commit(connection)
        return outcomes


def _still_waiting(batch: Batch) -> Batch:
    """The batch without those who were answered meanwhile; an all-or-nothing batch is over with the first."""
    left = [waiter for waiter in batch.waiters if not waiter.answer.done()]
    if batch.together and len(left) < len(batch.waiters):
        for waiter in left:
            waiter.give_up()
        left = []
    return Batch(left, batch.together)


def _as_it_happened(waiter: Waiter, outcome: Outcome, books: Books) -> Outcome:
    """After a lost COMMIT: what is found under the request's own id was accepted, whatever is refused now,
    as when its token was revoked since (test_a_logout_does_not_undo_what_was_committed_before_it)."""
    found = books.recorded.get(waiter.request.scope) if waiter.may_have_happened else None
    return outcome if found is None or found.id != waiter.request.id else Posted(found, replayed=False)


def _accounts_of(waiters: Sequence[Waiter]) -> list[ObjectId]:
    wanted: set[ObjectId] = set()
    for waiter in waiters:
        wanted.update(waiter.request.accounts)
        wanted.update(waiter.also_lock)
    return list(wanted)
