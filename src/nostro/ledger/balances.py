"""Reading balances: one look at the database serves everyone who asked for one meanwhile.

Like the committer it has no timer. A read begins after the request arrived, so it sees whatever was
acknowledged before that (tests/concurrency/test_balances.py). Nothing is remembered between reads.
"""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field

import structlog

from nostro.domain.errors import (
    DatabaseUnavailable,
    NostroError,
    Overloaded,
    TokenRevoked,
    UnknownAccount,
    UserGone,
)
from nostro.domain.ids import ObjectId
from nostro.domain.user import Claims
from nostro.store import accounts
from nostro.store.accounts import BalanceRow
from nostro.store.database import Database

log = structlog.get_logger(__name__)

MAX_BATCH = 256
MAX_WAITING = 4096
READERS = 2

Balance = BalanceRow | NostroError


@dataclass(slots=True)
class _Asked:
    claims: Claims
    account: ObjectId
    answer: "asyncio.Future[Balance]"

    def settle(self, balance: Balance) -> None:
        if not self.answer.done():
            self.answer.set_result(balance)


@dataclass
class BalanceReader:
    """`READERS` looks under way at most, each for up to `MAX_BATCH` accounts. Use as `async with`."""

    database: Database
    _waiting: deque[_Asked] = field(default_factory=deque)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> "BalanceReader":
        self._tasks = [asyncio.create_task(self._work()) for _ in range(READERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for asked in self._waiting:
            asked.settle(DatabaseUnavailable())

    def ask(self, claims: Claims, account: ObjectId) -> "asyncio.Future[Balance]":
        """The balance of the caller's own account, or why not. Raises `Overloaded` when too many wait."""
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded
        asked = _Asked(claims, account, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        self._arrived.set()
        return asked.answer

    async def read(self, claims: Claims, account: ObjectId) -> BalanceRow:
        """The same, awaited; raises what refuses: `UserGone`, `TokenRevoked`, `UnknownAccount`."""
        balance = await self.ask(claims, account)
        if isinstance(balance, NostroError):
            raise balance
        return balance

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
            if not self._waiting:
                self._arrived.clear()
            try:
                await self._answer(batch)
            except NostroError as error:
                # Who came while this look was failing does not wait for the next one to fail, which could take
                # as long again (tests/fault/test_lost_reads.py).
                batch += self._waiting
                self._waiting.clear()
                for asked in batch:
                    asked.settle(error)
            except (Exception, asyncio.CancelledError):
                task = asyncio.current_task()
                for asked in batch:
                    asked.settle(NostroError())
                if task is not None and task.cancelling():
                    raise
                with contextlib.suppress(Exception):
                    log.exception("balances_failed", waiting=len(batch))

    async def _answer(self, batch: list[_Asked]) -> None:
        if not batch:
            return
        async with self.database.lookup() as connection:
            rows = await accounts.balances_for(connection, [(asked.claims, asked.account) for asked in batch])
        for asked, row in zip(batch, rows, strict=True):
            asked.settle(_judged(asked.claims, row))


def _judged(claims: Claims, row: BalanceRow | None) -> Balance:
    """The token is judged by the same statement that read the balance."""
    if row is None:
        return UserGone()
    if claims.void(revoked=row.revoked, token_epoch=row.token_epoch):
        return TokenRevoked()
    if row.account is None:
        return UnknownAccount()
    return row
