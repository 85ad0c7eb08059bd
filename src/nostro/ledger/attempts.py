"""One attempt to commit a batch, in either of two ways.

    under the lock     begin, lock, read, decide, write, commit: always works, five round trips
    if unchanged       decide on heads as they were last seen, then one statement that writes if they still
                       are, and commits with it

Both decide with the same rules. The short way takes requests with nothing unusual about them. Whatever is left,
or was found changed, is committed under the lock next (tests/concurrency/test_heads_in_memory.py).
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nostro.domain.books import Books, Outcome, Policy, Posted
from nostro.domain.errors import NostroError
from nostro.domain.ids import ObjectId
from nostro.domain.posting import decide, decide_together
from nostro.domain.requests import FollowUp, TransferRequest
from nostro.domain.transaction import Operation
from nostro.ledger.heads import Heads
from nostro.ledger.identity import new_id
from nostro.ledger.queue import Batch, Waiter, accounts_of
from nostro.ledger.recent import Recent
from nostro.store import journal, optimistic
from nostro.store.failures import is_connection_lost
from nostro.store.optimistic import Basis, Head, KnownCaller, Prepared, Written


class Usual(NamedTuple):
    """Requests that the short way takes, and all that they are decided on."""

    waiters: Sequence[Waiter]
    heads: dict[ObjectId, Head]
    callers: dict[ObjectId, KnownCaller]


Answers = Sequence[tuple[Waiter, Outcome]]


class Place(NamedTuple):
    """Of a batch among those under way. `decided`: called when the next one can be decided on what this one
    will leave. `turn`: waits until those before it are written, or have failed, and tells what each has
    written, None if it failed. `is_over`: called when this one is written; lets whoever is after it go on
    before it returns."""

    decided: Callable[[], None]
    turn: Callable[[], Awaitable[Sequence[Written | None]]]
    is_over: Callable[[Written], Awaitable[None]]


class SomeoneLeft(Exception):
    """A waiter was answered while its batch was on the way: the batch is made again without it."""


class SomeoneFailed(Exception):
    """The batch was decided on what another one would leave, which failed: it is decided again."""


@dataclass
class Attempts:
    policy: Policy
    recent: Recent
    heads: Heads = field(default_factory=Heads)

    async def under_lock(self, connection: Any, batch: Batch) -> Answers:
        """Decide and commit all of the batch."""
        waiters = batch.waiters
        requests = [waiter.request for waiter in waiters]
        await journal.begin(connection)
        accounts, not_before = await journal.lock_accounts(
            connection,
            accounts_of(waiters),
            [request.parent for request in requests if isinstance(request, FollowUp)],
        )
        books = await journal.read_books(connection, requests, accounts, not_before, new_id)
        outcomes = (decide_together if batch.together else decide)(requests, books, self.policy)
        if books.transactions:
            await journal.write_batch(connection, books)
        if any(waiter.may_have_happened for waiter in waiters):
            outcomes = [_as_it_happened(*answered, books) for answered in zip(waiters, outcomes, strict=True)]
        answers = list(zip(waiters, outcomes, strict=True))
        _may_happen_now(answers)
        await journal.commit(connection)
        self.recent.add(books)
        self.heads.forget(books.moved)
        return answers

    async def if_unchanged(self, connection: Any, batch: Batch, place: Place) -> Answers:
        """Decide and commit the usual requests of the batch, on the heads as the batches before it leave them;
        the others have no answer, and none has if nothing can be accepted. Raises what the driver raises, and
        with `optimistic.is_stale`, `SomeoneLeft` or `SomeoneFailed` nothing was done."""
        usual = await self._usual(connection, batch)
        if usual is None:
            return []
        seen = self.heads.forgotten
        try:
            answers, books, basis = self._decide(usual, together=batch.together)
            if not books.transactions:
                if batch.together:  # the decision was taken back, but not from the heads
                    self.heads.forget(usual.heads)
                return []
            place.decided()
            prepared = optimistic.prepared(books, basis)
            await self._turn(place, basis, seen, prepared)
            written = await self._write(connection, answers, basis, prepared)
        except BaseException:
            self.heads.forget(usual.heads)
            raise
        await place.is_over(written)
        written.tell(basis.heads, books)
        self.heads.was_right()
        self.recent.add(books)
        return answers

    async def _turn(self, place: Place, basis: Basis, seen: int, prepared: Prepared) -> None:
        """Afterwards those before it are written; if one failed, what it left is no longer remembered."""
        others = await place.turn()
        if others and not self.heads.has(basis.heads, since=seen):
            raise SomeoneFailed
        for written in others:
            if written is not None:
                prepared.follow(written)

    def _decide(self, usual: Usual, *, together: bool) -> tuple[Answers, Books, Basis]:
        waiters, heads, callers = usual
        books = Books(
            now=max(head.moved_at for head in heads.values()),
            accounts={account: head.account for account, head in heads.items()},
            callers={user: known.caller for user, known in callers.items()},
            revoked=set(),
            recorded={},
        )
        requests = [waiter.request for waiter in waiters]
        outcomes = (decide_together if together else decide)(requests, books, self.policy)
        answers = list(zip(waiters, outcomes, strict=True))
        refused = [waiter for waiter, outcome in answers if isinstance(outcome, NostroError)]
        if len(books.moved) < len(heads):
            receiving = {hold.to_account for hold in books.continued.values()}
            touched = accounts_of(refused) | books.moved.keys() | receiving
            heads = {account: head for account, head in heads.items() if account in touched}
        basis = Basis(
            heads=heads,
            callers=callers,
            tokens={request.claims.digest for request in requests},
            refused=[waiter.request.scope for waiter in refused],
        )
        return answers, books, basis

    async def _usual(self, connection: Any, batch: Batch) -> Usual | None:
        """The usual requests of the batch; None if there are none, or if the order of the batch is to be kept
        and they are not all of it."""
        waiters = [waiter for waiter in batch.waiters if _is_usual(waiter)]
        callers = await self._callers(connection, {waiter.request.claims.user for waiter in waiters})
        heads = await self._heads(connection, accounts_of(waiters))
        if any(head.account.limited for head in heads.values()):
            waiters = [waiter for waiter in waiters if not _is_limited(waiter, heads)]
        ordered = batch.together or batch.is_bulk
        if not heads or (ordered and len(waiters) < len(batch.waiters)):
            return None
        return Usual(waiters, heads, callers)

    async def _write(self, connection: Any, answers: Answers, basis: Basis, prepared: Prepared) -> Written:
        _may_happen_now(answers)
        try:
            return await optimistic.write_if_unchanged(connection, prepared)
        except Exception as error:
            if not is_connection_lost(error):
                for waiter, _ in answers:
                    waiter.may_have_happened = False
                self.heads.was_wrong()
            if optimistic.is_stale(error):
                self.heads.forget_callers(basis.callers)
            raise

    async def _heads(self, connection: Any, accounts: Collection[ObjectId]) -> dict[ObjectId, Head]:
        """Nothing is awaited between this and the decision, which moves them for the next one."""
        heads = self.heads.of(accounts)
        if len(heads) < len(accounts):
            read = await optimistic.read_heads(connection, [one for one in accounts if one not in heads])
            heads |= read | self.heads.of(accounts)
        self.heads.remember(heads)
        return heads

    async def _callers(self, connection: Any, users: set[ObjectId]) -> dict[ObjectId, KnownCaller]:
        callers = self.heads.callers(users)
        if len(callers) < len(users):
            read = await optimistic.read_callers(connection, users - callers.keys())
            self.heads.remember_callers(read)
            callers |= read
        return callers


def _is_usual(waiter: Waiter) -> bool:
    """A transfer, initial funds or a hold with nothing but notes beside it, not tried before."""
    request = waiter.request
    if waiter.may_have_happened or not isinstance(request, TransferRequest):
        return False
    terms = request.terms
    return request.operation is not Operation.EXCHANGE and not (
        terms.legs or terms.split or terms.conditions or terms.effective_at
    )


def _is_limited(waiter: Waiter, heads: dict[ObjectId, Head]) -> bool:
    return any(account in heads and heads[account].account.limited for account in waiter.accounts)


def _may_happen_now(answers: Answers) -> None:
    """Called before the last word is sent. Raises `SomeoneLeft`."""
    for waiter, _ in answers:
        if waiter.answer.done():
            raise SomeoneLeft
    for waiter, outcome in answers:
        if isinstance(outcome, Posted):
            waiter.may_have_happened = True


def _as_it_happened(waiter: Waiter, outcome: Outcome, books: Books) -> Outcome:
    """After a lost COMMIT: what is found under the request's own id was accepted, whatever is refused now,
    as when its token was revoked since (test_a_logout_does_not_undo_what_was_committed_before_it)."""
    found = books.recorded.get(waiter.request.scope) if waiter.may_have_happened else None
    return outcome if found is None or found.id != waiter.request.id else Posted(found, replayed=False)
