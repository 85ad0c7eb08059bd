"""Every call that the committer makes to the database fails once, in every way, before and after it was done.

Under the lock a batch makes five calls on a connection: BEGIN, lock, read, write, COMMIT. On its short way,
with nothing in memory, it makes three: heads and callers are read, and one statement writes and commits.
Getting the connection is the one before them, and the ROLLBACK or the next connection is the one after the
failure.
"""

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from nostro.domain.books import Books
from nostro.ledger.heads import Heads
from nostro.ledger.service import Ledger
from nostro.store import journal, optimistic
from nostro.store.database import Database
from nostro.store.optimistic import Prepared
from nostro.store.queries import SQL
from tests.concurrency.bank import Bank, codes, fresh_key, send, token_of

pytestmark = pytest.mark.anyio

CALLS = {"under the lock": 6, "if unchanged": 4}
ENDS_THE_CONNECTION = {
    "57P01": asyncpg.AdminShutdownError,
    "57P02": asyncpg.CrashShutdownError,
    "08006": asyncpg.ConnectionFailureError,
    "08003": asyncpg.ConnectionDoesNotExistError,
    "25P03": asyncpg.IdleInTransactionSessionTimeoutError,
    "closed": asyncpg.InterfaceError,
    "reset": ConnectionResetError,
    "timeout": TimeoutError,
}
LEAVES_IT_OPEN = {
    "40001": asyncpg.SerializationError,
    "40P01": asyncpg.DeadlockDetectedError,
    "40003": asyncpg.StatementCompletionUnknownError,
    "55P03": asyncpg.LockNotAvailableError,
    "57014": asyncpg.QueryCanceledError,
    "25006": asyncpg.ReadOnlySQLTransactionError,
    "0A000": asyncpg.InvalidCachedStatementError,
}
ERRORS = ENDS_THE_CONNECTION | LEAVES_IT_OPEN


class Faults:
    """Counts the committer's calls; those numbered in `failing` raise, before or after they are done."""

    def __init__(self, error: type[Exception], *, ends: bool) -> None:
        self.error = error
        self.ends = ends
        self.calls = 0
        self.failing: Callable[[int], bool] = lambda _: False
        self.after = False

    async def call(self, real: Any, step: Callable[[], Any]) -> Any:
        number, self.calls = self.calls, self.calls + 1
        if not self.failing(number):
            return await step()
        if self.after:
            await step()
        if self.ends and real is not None:
            real.terminate()
        raise self.error("planted")


class Faulty:
    """A committer's connection whose calls may fail."""

    def __init__(self, real: Any, faults: Faults) -> None:
        self.real = real
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.real, name)
        if name not in {"execute", "fetch", "fetchrow", "fetchval"}:
            return method
        return lambda *arguments: self._faults.call(self.real, lambda: method(*arguments))


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[Faults], None]:
    """Put faults under every committer of the test, in place of those before."""
    acquire, release = Database.acquire_committer, Database.release_committer

    def put(faults: Faults) -> None:
        async def acquire_faulty(database: Database) -> Any:
            faults.after, after = False, faults.after  # a connection that is not had is not leaked either
            try:
                return Faulty(await faults.call(None, lambda: acquire(database)), faults)
            finally:
                faults.after = after

        async def release_faulty(database: Database, connection: Faulty, *, broken: bool) -> None:
            await release(database, connection.real, broken=broken)

        monkeypatch.setattr(Database, "acquire_committer", acquire_faulty)
        monkeypatch.setattr(Database, "release_committer", release_faulty)

    return put


@pytest.mark.parametrize("way", CALLS)
@pytest.mark.parametrize(
    ("name", "after"),
    [*((name, False) for name in ERRORS), *((name, True) for name in ENDS_THE_CONNECTION)],
    ids=[*(f"{name} before" for name in ERRORS), *(f"{name} after" for name in ENDS_THE_CONNECTION)],
)
async def test_whichever_call_fails_the_batch_is_done_once(
    ledger: Ledger, plant: Callable[[Faults], None], way: str, name: str, *, after: bool
) -> None:
    bank = await Bank.open(ledger)
    ann = await bank.person()
    source, target = await bank.account(ann, 1000), await bank.account(ann)
    claims, moved = token_of(ann), 0
    committer = ledger.transfers.committer
    committer.optimistic = way == "if unchanged"
    for first, then in itertools.product(range(CALLS[way]), (0, 1)):
        committer.attempts.heads = Heads()
        faults = Faults(ERRORS[name], ends=name in ENDS_THE_CONNECTION)
        faults.failing, faults.after = {first, first + then}.__contains__, after
        plant(faults)
        key, beyond = fresh_key(), fresh_key()
        outcomes = await asyncio.gather(
            send(ledger, claims, source, target, "10", key),
            send(ledger, claims, source, target, "10", key),
            send(ledger, claims, source, target, "2000", beyond),
        )
        assert codes(outcomes) == {"posted": 1, "replayed": 1, "insufficient_funds": 1}, (first, then)
        assert faults.calls > first
        moved += 1000
        assert await bank.balance(target) == moved
        assert len(await ledger.transfers.by_key(ann.id, key)) == 1
        assert await ledger.transfers.by_key(ann.id, beyond) == []
    assert (await ledger.verify()).holds


# A server that says 40001 of the one statement has not committed it: there is no such failure after it.
@pytest.mark.parametrize(
    ("call", "name"),
    [
        *itertools.product(["acquire", "BEGIN", "COMMIT", "heads"], ["57P01", "08006", "timeout", "40001"]),
        *itertools.product(["the one statement"], ["57P01", "08006", "timeout"]),
    ],
)
async def test_what_fails_for_as_long_as_anybody_waits_is_answered_503(
    ledger: Ledger, plant: Callable[[Faults], None], call: str, name: str
) -> None:
    bank = await Bank.open(ledger)
    ann = await bank.person()
    source, target = await bank.account(ann, 1000), await bank.account(ann)
    faults = Faults(ERRORS[name], ends=name in ENDS_THE_CONNECTION)
    faults.after = True
    committer = ledger.transfers.committer
    committer.deadline_s = 0.3
    committer.optimistic = call in {"heads", "the one statement"}
    committer.attempts.heads = Heads()
    plant(faults)
    nth = {"acquire": 0, "BEGIN": 1, "COMMIT": 5, "heads": 1, "the one statement": 3}[call]
    faults.failing = lambda number: number >= nth
    outcome = await send(ledger, token_of(ann), source, target, "10", "rent")
    may_have_happened = call in {"COMMIT", "the one statement"}
    assert codes([outcome]) == {"outcome_unknown" if may_have_happened else "database_unavailable": 1}
    faults.failing = lambda _: False
    committer.deadline_s = 5
    again = await send(ledger, token_of(ann), source, target, "10", "rent")
    assert codes([again]) == {"replayed" if may_have_happened else "posted": 1}
    assert await bank.balance(target) == 1000


@pytest.mark.parametrize(
    ("way", "call"),
    [*itertools.product(["under the lock"], range(1, 5)), ("if unchanged", 1), ("if unchanged", 3)],
)
async def test_without_room_everyone_is_told_so_and_nothing_was_done(
    ledger: Ledger, plant: Callable[[Faults], None], way: str, call: int
) -> None:
    bank = await Bank.open(ledger)
    ann = await bank.person()
    source, target = await bank.account(ann, 1000), await bank.account(ann)
    committer = ledger.transfers.committer
    committer.optimistic = way == "if unchanged"
    committer.attempts.heads = Heads()
    faults = Faults(asyncpg.DiskFullError, ends=False)
    faults.failing = lambda number: number >= call
    plant(faults)
    outcomes = await asyncio.gather(
        *(send(ledger, token_of(ann), source, target, "10", key) for key in ("rent", "food"))
    )
    assert codes(outcomes) == {"storage_full": 2}
    faults.failing = lambda _: False
    assert codes([await send(ledger, token_of(ann), source, target, "10", "rent")]) == {"posted": 1}
    assert await bank.balance(target) == 1000


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DataError,
        asyncpg.exceptions._base.DataError,  # what the driver raises for a value it cannot encode
        asyncpg.CheckViolationError,
        asyncpg.UniqueViolationError,
        asyncpg.InternalServerError,
        RuntimeError,
    ],
)
@pytest.mark.parametrize("way", CALLS)
async def test_a_request_that_the_database_chokes_on_fails_alone(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, way: str, error: type[Exception]
) -> None:
    """The poisoned one is the fourth of nine, all in one batch."""
    bank = await Bank.open(ledger)
    ann = await bank.person()
    source, target = await bank.account(ann, 1000), await bank.account(ann)
    ledger.transfers.committer.optimistic = way == "if unchanged"
    sizes = []

    def choking(write: Callable[..., Any], keys_of: Callable[[Any], list[str]]) -> Callable[..., Any]:
        async def choke(connection: Any, batch: Any) -> Any:
            keys = keys_of(batch)
            sizes.append(len(keys))
            if "poison" in keys:
                raise error("planted")
            return await write(connection, batch)

        return choke

    def keys_in_books(books: Books) -> list[str]:
        return [transaction.key for transaction in books.transactions]

    def keys_prepared(prepared: Prepared) -> list[str]:
        if prepared.statement == SQL["write_one_if_unchanged"]:
            return [prepared.parameters[15]]
        return [*json.loads(prepared.parameters[16].replace("{", "[").replace("}", "]"))]

    monkeypatch.setattr(journal, "write_batch", choking(journal.write_batch, keys_in_books))
    monkeypatch.setattr(optimistic, "write_if_unchanged", choking(optimistic.write_if_unchanged, keys_prepared))
    keys = [fresh_key() for _ in range(9)]
    keys[3] = "poison"
    outcomes = await asyncio.gather(*(send(ledger, token_of(ann), source, target, "1", key) for key in keys))
    assert sizes[0] == 9
    assert codes(outcomes[:3] + outcomes[4:]) == {"posted": 8}
    assert codes([outcomes[3]]) == {"internal_error": 1}
    assert await ledger.transfers.by_key(ann.id, "poison") == []
    assert await bank.balance(target) == 800
    assert (await ledger.verify()).holds
