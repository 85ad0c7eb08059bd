"""The cursor of a follower with deliveries: positions become deliveries, and the cursor moves, in one
transaction.

A crash before COMMIT leaves neither, after it both. Processes share the work by skipping a cursor that is
locked: whoever holds the row reads on, nobody waits (tests/fault/test_followers.py).
"""

import asyncio
from collections.abc import Sequence

import structlog

from nostro.domain.errors import Unavailable
from nostro.followers.frame import Event, Follower, Idler, Terms
from nostro.followers.live_end import Journal
from nostro.store import followers
from nostro.store.database import Connection, Database
from nostro.store.failures import is_passing

log = structlog.get_logger(__name__)

# How long the other processes leave a cursor alone that one of them holds, and how long everybody waits after a
# failure of the follower's own.
_ELSEWHERE_S = 0.2
_AFTER_FAILURE_S = 1.0


class Cursor:
    """Moves one follower forward in this process."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        follower: Follower,
        terms: Terms,
        found: asyncio.Event,
    ) -> None:
        """`found` is set whenever there are new deliveries."""
        self._database = database
        self._watch = journal.watch
        self._live_end = journal.live_end
        self._pace = journal.pace
        self._follower = follower
        self._terms = terms
        self._found = found

    async def run(self) -> None:
        """Follow until cancelled. No failure ends it."""
        clock = asyncio.get_running_loop().time
        position, replays = -1, -1
        while True:
            replays = await self._watch.beyond(position, replays)
            began = clock()
            try:
                moved = await self.advance()
            except Unavailable:
                await asyncio.sleep(_AFTER_FAILURE_S)
            except Exception:
                log.exception("follower_failed", follower=self._follower.name)
                await asyncio.sleep(_AFTER_FAILURE_S)
            else:
                if moved is None:
                    await asyncio.sleep(_ELSEWHERE_S)
                elif moved < self._watch.position:
                    await self._pace.rest(clock() - began)
                position = moved if moved is not None else -1

    async def advance(self) -> int | None:
        """One batch; where the cursor stands now, or None when another process is at it."""
        try:
            return await self._advance(self._terms.batch)
        except Unavailable:
            raise
        except Exception:
            # One event among many may be the culprit. Alone, it is told from the innocent.
            log.exception("follower_batch_failed", follower=self._follower.name)
        position = None
        for _ in range(self._terms.batch):
            position = await self._advance(1)
        return position

    async def _advance(self, batch: int) -> int | None:
        name = self._follower.name
        async with self._database.transaction(background=True) as connection:
            position = await followers.take_cursor(connection, name)
            if position is None:
                return None
            # LATER statements than the lock: they see what the holder of the cursor before has committed.
            if isinstance(self._follower, Idler):
                unwanted = await self._follower.unwanted_up_to(connection)
                if unwanted is not None and unwanted > position:
                    await followers.move_cursor(connection, name, unwanted)
                    return unwanted
            events = await self._live_end.after(connection, position, batch)
            if not events:
                return position
            added = await (self._deliver(connection, events) if batch > 1 else self._try(connection, events[0]))
            await followers.move_cursor(connection, name, events[-1].position)
        if added:
            self._found.set()
        return events[-1].position

    async def _deliver(self, connection: Connection, events: Sequence[Event]) -> int:
        """Turn events into deliveries; how many."""
        deliveries = await self._follower.deliveries(connection, events)
        if deliveries:
            await followers.add_deliveries(connection, self._follower.name, deliveries)
        return len(deliveries)

    async def _try(self, connection: Connection, event: Event) -> int:
        """As `_deliver`; an event that its follower cannot take is set aside, and nobody waits for it."""
        try:
            # A savepoint: the failure of one event must not spoil the cursor's transaction.
            async with connection.transaction():
                return await self._deliver(connection, [event])
        except Exception as error:
            if is_passing(error) or isinstance(error, Unavailable):
                raise
            name, reason = self._follower.name, f"it could not take the event ({type(error).__name__})"
            log.exception("event_set_aside", follower=name, position=event.position)
            await followers.set_aside_event(connection, name, event.position, event.document(None), reason)
            return 0
