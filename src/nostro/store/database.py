"""Connections: the committer's, pools for hot look-ups, followers and all else; a limit on every wait.

The committer's connections plan its few statements once, generically, and through indexes only: a planner
that saw a small table once would otherwise scan it for ever
(tests/contract/test_plans.py guards the plans).
"""

import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import asyncpg

from nostro.domain.errors import OutcomeUnknown
from nostro.store.failures import is_connection_lost, translated

RUNTIME_ROLE = "nostro_runtime"
CONNECT_TIMEOUT_S = 3.0
# Longer than statement_timeout: a server that is alive gives up first, so a client that does knows it is not.
COMMAND_TIMEOUT_S = 5.0

_WAITS = {
    "lock_timeout": "3s",
    "statement_timeout": "4s",
    "idle_in_transaction_session_timeout": "5s",
    "jit": "off",
    "timezone": "UTC",
}
_COMMITTER = _WAITS | {
    "application_name": "nostro committer",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

Connection = Any  # asyncpg's pool proxies have no common static type


class Database:
    """The pools of one process. `dsn` is libpq's URL; the role is taken unless the login is that role."""

    def __init__(self, dsn: str, *, pool_size: int = 8) -> None:
        self._dsn = dsn
        self._pool_size = pool_size
        self._general: asyncpg.Pool[asyncpg.Record] | None = None
        self._committers = _Committers(dsn)
        self._lookups: asyncpg.Pool[asyncpg.Record] | None = None
        self._background: asyncpg.Pool[asyncpg.Record] | None = None

    async def __aenter__(self) -> Self:
        with translated():
            self._general = await self._open(
                _WAITS | {"application_name": "nostro"}, smallest=1, largest=self._pool_size
            )
            await self._committers.release(await self._committers.acquire(), broken=False)
            self._lookups = await self._open(
                _COMMITTER | {"application_name": "nostro lookups"}, smallest=1, largest=2
            )
            self._background = await self._open(
                _COMMITTER | {"application_name": "nostro followers"}, smallest=0, largest=4
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self._general, self._lookups, self._background):
            if pool is not None:
                pool.terminate()
        self._committers.terminate()

    async def _open(
        self, settings: dict[str, str], *, smallest: int, largest: int
    ) -> "asyncpg.Pool[asyncpg.Record]":
        return await asyncpg.create_pool(
            self._dsn,
            min_size=smallest,
            max_size=largest,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings=settings | {"role": RUNTIME_ROLE},
            # A connection keeps its prepared statements and settings; nothing here changes session state.
            reset=_leave_as_is,
        )

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit; `DatabaseUnavailable` when there is none to be had in time."""
        assert self._general is not None, "the database is not open"
        async with _lent(self._general) as connection:
            yield connection

    @asynccontextmanager
    async def lookup(self) -> AsyncIterator[Connection]:
        """Like `connection`, planned like the committer's: for look-ups by key that are as hot as transfers."""
        assert self._lookups is not None, "the database is not open"
        async with _lent(self._lookups) as connection:
            yield connection

    @asynccontextmanager
    async def background(self) -> AsyncIterator[Connection]:
        """Like `lookup`, for work that nobody waits for: it never takes a connection from a request."""
        assert self._background is not None, "the database is not open"
        async with _lent(self._background) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, *, background: bool = False) -> AsyncIterator[Connection]:
        """A transaction that commits when the block ends and rolls back when it raises.

        Raises `OutcomeUnknown` when the answer to COMMIT is lost: what was written may stand or not.
        """
        async with self.background() if background else self.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                yield connection
            except Exception as error:
                if not is_connection_lost(error):
                    await transaction.rollback()
                raise
            try:
                await transaction.commit()
            except Exception as error:
                if is_connection_lost(error):
                    raise OutcomeUnknown from error
                raise

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A transaction that sees one moment of the ledger, and is rolled back at its end."""
        async with self.connection() as connection:
            transaction = connection.transaction(isolation="repeatable_read")
            await transaction.start()
            try:
                yield connection
            finally:
                if not connection.is_closed():
                    await transaction.rollback()

    async def acquire_committer(self) -> Connection:
        """A connection with the committer's settings. Raises what the driver raises: its user tells apart."""
        return await self._committers.acquire()

    @property
    def committers_lost(self) -> int:
        """How often a connection of the committer's was found broken or closed."""
        return self._committers.lost

    async def release_committer(self, connection: Connection, *, broken: bool) -> None:
        """Give it back; a `broken` one is closed."""
        await self._committers.release(connection, broken=broken)


class _Committers:
    """The committer's connections, as few as it has batches in flight.

    A pool of the driver does more at every turn (tasks, timeouts, a proxy for each call) than a batch of one
    request costs otherwise: docs/decisions/0012-heads-in-memory.md.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self.lost = 0

    async def acquire(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._all.discard(connection)
            self.lost += 1
        connection = await asyncpg.connect(
            self._dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings=_COMMITTER | {"role": RUNTIME_ROLE},
        )
        self._all.add(connection)
        return connection

    async def release(self, connection: Connection, *, broken: bool) -> None:
        """With a broken one go those that are idle, too, as in `_release`."""
        self._idle.append(connection)
        if broken:
            self.lost += 1
            _end(self._idle)
            self._all.difference_update(self._idle)
            self._idle = []

    def terminate(self) -> None:
        _end(self._all)


def _end(connections: Iterable[Connection]) -> None:
    """Without a word to the server, which may not be listening."""
    for connection in connections:
        with contextlib.suppress(asyncpg.InterfaceError):  # the driver may have closed it
            connection.terminate()


@asynccontextmanager
async def _lent(pool: "asyncpg.Pool[asyncpg.Record]") -> AsyncIterator[Connection]:
    with translated():
        connection = await pool.acquire(timeout=CONNECT_TIMEOUT_S)
        broken = True
        try:
            yield connection
            broken = False
        except Exception as error:
            broken = is_connection_lost(error) or isinstance(error, OutcomeUnknown)
            raise
        finally:
            await _release(pool, connection, broken=broken)


async def _release(pool: "asyncpg.Pool[asyncpg.Record]", connection: Connection, *, broken: bool) -> None:
    """Give it back; a `broken` one is closed without a word to the server, which may not be listening.

    Then the others are suspect, too: each is opened anew before its next use, so that a server that went away
    without a goodbye costs one request, not one per connection.
    """
    if broken:
        with contextlib.suppress(asyncpg.InterfaceError):  # the driver may have closed it and taken it back
            connection.terminate()
        await pool.expire_connections()
    await pool.release(connection)


async def _leave_as_is(_connection: object) -> None:
    return
