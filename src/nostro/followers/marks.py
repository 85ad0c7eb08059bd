"""What became of deliveries, written down for all that finished meanwhile, with one statement.

There is no timer: while one statement runs, the next marks gather. A mark that cannot be written is kept and
tried again; should the process end first, the delivery is due again when its claim ends, and is sent once
more.
"""

import asyncio
from dataclasses import dataclass, field

import structlog

from nostro.store import followers
from nostro.store.database import Database
from nostro.store.followers import Mark

log = structlog.get_logger(__name__)

_AFTER_FAILURE_S = 0.5


@dataclass
class Marks:
    """The marks of one follower in this process."""

    database: Database
    follower: str
    _waiting: list[Mark] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, mark: Mark) -> None:
        self._waiting.append(mark)
        self._arrived.set()

    async def run(self) -> None:
        while True:
            await self._arrived.wait()
            try:
                await self.write()
            except Exception:
                log.exception("marks_not_written", follower=self.follower, waiting=len(self._waiting))
                await asyncio.sleep(_AFTER_FAILURE_S)

    async def write(self) -> None:
        """Write what waits. After a failure it still waits."""
        marks = self._waiting
        self._waiting = []
        self._arrived.clear()
        if not marks:
            return
        try:
            async with self.database.background() as connection:
                counted = await followers.mark(connection, marks)
        except BaseException:
            self._waiting = marks + self._waiting
            self._arrived.set()
            raise
        if counted < len(marks):
            # Somebody else has claimed them since: this process was stopped, or too slow. Or they were written
            # before, by a statement whose answer was lost.
            log.info("marks_refused", follower=self.follower, refused=len(marks) - counted)
