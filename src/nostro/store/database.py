"""Connections: two pools, one for the committer and one for everything else, with a limit on every wait.

The committer's connections plan its few statements once, generically, and through indexes only: a planner
that saw a small table once would otherwise scan it for ever
(tests/contract/test_plans.py guards the plans).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import asyncpg

from nostro.store.failures import translated

RUNTIME_ROLE = "nostro_runtime"
CONNECT_TIMEOUT_S = 3.0
COMMAND_TIMEOUT_S = 5.0

_WAITS = {
    "lock_timeout": "3s",
    "statement_timeout": "5s",
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
    """Both pools of one process. `dsn` is libpq's URL; the role is taken unless the login is that role."""

    def __init__(self, dsn: str, *, pool_size: int = 8) -> None:
        self._dsn = dsn
        self._pool_size = pool_size
        self._general: asyncpg.Pool[asyncpg.Record] | None = None
        self._committer: asyncpg.Pool[asyncpg.Record] | None = None

    async def __aenter__(self) -> Self:
        with translated():
            self._general = await self._open(
                _WAITS | {"application_name": "nostro"}, smallest=1, largest=self._pool_size
            )
            self._committer = await self._open(_COMMITTER, smallest=1, largest=2)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self._general, self._committer):
            if pool is not None:
                pool.terminate()

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
        with translated():
            async with self._general.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction that commits when the block ends and rolls back when it raises."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def acquire_committer(self) -> Connection:
        """A connection with the committer's settings. Raises what the driver raises: its user tells apart."""
        assert self._committer is not None, "the database is not open"
        return await self._committer.acquire(timeout=CONNECT_TIMEOUT_S)

    async def release_committer(self, connection: Connection, *, broken: bool) -> None:
        """Give it back; a `broken` one is closed without a word to the server, which may not be listening."""
        assert self._committer is not None, "the database is not open"
        if broken:
            connection.terminate()
        await self._committer.release(connection)


async def _leave_as_is(_connection: object) -> None:
    return
