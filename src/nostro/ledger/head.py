"""Where the journal stands, looked at a few times a second for everybody in this process who follows it.

Polling, not LISTEN/NOTIFY (docs/decisions/0007): a look costs the reading of one row, however many follow, and
nothing rests on a message that may be lost.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

import structlog

from nostro.domain.errors import NostroError
from nostro.store import followers
from nostro.store.database import Database
from nostro.store.events import summarize_entries

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.2
# Positions after which the entries written meanwhile are summarized, for whoever reads them by position.
SUMMARIZE_EVERY = 1000
# Of the growth that is told: the rest is what was told before.
_NEWEST_LOOK_COUNTS = 0.3


@dataclass
class JournalWatch:
    """Use as `async with`. The looks begin with the first who waits; from then on `position` is at most
    `LOOK_EVERY_S` behind while the database answers. `growth`: positions a second, about the last second's."""

    database: Database
    position: int = 0
    replays: int = 0
    growth: float = 0.0
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _looking: asyncio.Task[None] | None = None
    _summarized_at: int = 0

    async def __aenter__(self) -> "JournalWatch":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking

    async def beyond(self, position: int, replays: int | None = None) -> int:
        """Return as soon as the journal is known to stand behind `position`, or a cursor was set anew since
        `replays`, which this returned before."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        while self.position <= position and (replays is None or self.replays == replays):
            await self._moved.wait()
        return self.replays

    async def _look(self) -> None:
        clock = asyncio.get_running_loop().time
        looked_at: float | None = None
        while True:
            try:
                async with self.database.background() as connection:
                    position, replays = await followers.look(connection)
            except NostroError:
                pass  # the database is away; who follows waits, and the next look may find it back
            except Exception:
                log.exception("journal_watch_failed")
            else:
                now = clock()
                if looked_at is not None:
                    speed = (position - self.position) / (now - looked_at)
                    self.growth += (speed - self.growth) * _NEWEST_LOOK_COUNTS
                looked_at = now
                self._note(position, replays)
                await self._summarize()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _summarize(self) -> None:
        """Nothing but speed rests on it: whatever becomes of it, who follows has been told."""
        if self.position < self._summarized_at + SUMMARIZE_EVERY:
            return
        self._summarized_at = self.position
        try:
            async with self.database.background() as connection:
                await summarize_entries(connection)
        except NostroError:
            pass
        except Exception:
            log.exception("entries_not_summarized")

    def _note(self, position: int, replays: int) -> None:
        if (position, replays) != (self.position, self.replays):
            self.position, self.replays = position, replays
            self._moved.set()
            self._moved = asyncio.Event()
