"""Where two transactions meet: the first to arrive waits until its rival is there too, or waits for a lock.

That makes a race certain instead of likely. With a lock in its place the rival waits for the first one; with
the lock taken away both go on with what they have read, which is the damage the lock is there to prevent.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import asyncpg

PATIENCE_S = 20.0
_POLL_S = 0.005


class Rendezvous:
    """`async with Rendezvous(url) as meeting`; let the rivals `await meeting.arrive()` at the place to meet."""

    def __init__(self, url: str, rivals: int = 2) -> None:
        self._url = url
        self._rivals = rivals
        self.arrived = 0
        self._observer: Any = None
        self.over = False

    async def __aenter__(self) -> Self:
        self._observer = await asyncpg.connect(self._url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._observer.close()

    async def arrive(self) -> None:
        self.arrived += 1
        if self.arrived == 1:
            await self.until(lambda: self.arrived >= self._rivals)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when `condition` holds, or when a transaction of this database waits for a lock."""
        async with asyncio.timeout(PATIENCE_S):
            # The condition may be in the database, which sets no event of ours.
            while not self.over and not condition() and not await self.somebody_waits():  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
        self.over = True

    async def somebody_waits(self) -> bool:
        return await how_many_wait(self._observer) > 0


async def how_many_wait(observer: asyncpg.Connection) -> int:
    """Connections to the observer's database that wait for a lock."""
    waiting = await observer.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return int(waiting)


async def until_some_wait(observer: asyncpg.Connection, count: int = 1) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await how_many_wait(observer) < count:  # noqa: ASYNC110 - the condition is in the database
            await asyncio.sleep(_POLL_S)


def meeting_before(step: Callable[..., Any], meeting: Rendezvous) -> Callable[..., Any]:
    """`step` of the committer, which now waits for the rival first, until the meeting is over."""

    async def met(*arguments: Any) -> Any:
        await meeting.arrive()
        return await step(*arguments)

    return met
