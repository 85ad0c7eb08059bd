"""Publishing in order: one process at a time holds a follower's lease, and moves its cursor under its fence.

A process that was stopped and wakes after its lease was taken over finds its fence outdated: it cannot move the
cursor. What it sends meanwhile was sent before, under the same ids, so the first appearance of each event is in
order (tests/fault/test_followers.py).
"""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Sequence

import structlog

from nostro.domain.errors import Unavailable
from nostro.followers.frame import Event, Later, OrderedFollower, Terms
from nostro.followers.live_end import Journal
from nostro.store import followers
from nostro.store.database import Database

log = structlog.get_logger(__name__)

# Between two attempts at a lease that somebody else holds.
_NEXT_TRY_S = 1.0


class Publisher:
    """One ordered follower in this process: waits for its lease, then publishes until it is lost."""

    def __init__(self, database: Database, journal: Journal, follower: OrderedFollower, terms: Terms) -> None:
        self._database = database
        self._watch = journal.watch
        self._live_end = journal.live_end
        self._pace = journal.pace
        self._follower = follower
        self._terms = terms
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    async def run(self) -> None:
        """Follow until cancelled; then the lease is given up, so that another process goes on at once."""
        while True:
            fence = None
            try:
                fence = await self._take_lease()
                if fence is not None:
                    await self._hold(fence)
                    log.warning("lease_lost", follower=self._follower.name)
            except asyncio.CancelledError:
                if fence is not None:
                    await self._give_up(fence)
                raise
            except Unavailable:
                pass
            except Exception:
                log.exception("follower_failed", follower=self._follower.name)
            await asyncio.sleep(_NEXT_TRY_S)

    async def _take_lease(self) -> int | None:
        async with self._database.background() as connection:
            return await followers.take_lease(
                connection, self._follower.name, self._holder, self._terms.lease_s
            )

    async def _give_up(self, fence: int) -> None:
        with contextlib.suppress(Exception):
            async with self._database.background() as connection:
                await followers.give_up_lease(connection, self._follower.name, fence)

    async def _hold(self, fence: int) -> None:
        """Publish for as long as the lease is ours."""
        replays, failures = self._watch.replays, 0
        position = await self._keep_lease(fence)
        while position is not None:
            began = asyncio.get_running_loop().time()
            events = await self._read(position)
            if not events:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._terms.lease_s / 3):
                        replays = await self._watch.beyond(position, replays)
                position = await self._keep_lease(fence)
            elif await self._publish(events):
                failures = 0
                position = await self._move(fence, position, events[-1].position)
                await self._pace.rest(asyncio.get_running_loop().time() - began)
            else:
                failures += 1
                await asyncio.sleep(min(2.0 ** min(failures, 10), self._terms.lease_s / 4))
                position = await self._keep_lease(fence)

    async def _publish(self, events: Sequence[Event]) -> bool:
        """Whether all were acknowledged; if not, why is noted where `nostro followers` shows it."""
        try:
            async with asyncio.timeout(self._terms.patience_s):
                await self._follower.publish(events)
        except Later as verdict:
            reason = verdict.reason
        except TimeoutError:
            reason = f"not acknowledged within {self._terms.patience_s:g} s"
        except Exception as error:
            log.exception("publishing_failed", follower=self._follower.name, position=events[0].position)
            reason = f"failed ({type(error).__name__})"
        else:
            return True
        async with self._database.background() as connection:
            await followers.note_failure(connection, self._follower.name, reason)
        return False

    async def _read(self, position: int) -> Sequence[Event]:
        async with self._database.background() as connection:
            return await self._live_end.after(connection, position, self._terms.batch)

    async def _keep_lease(self, fence: int) -> int | None:
        async with self._database.background() as connection:
            return await followers.keep_lease(connection, self._follower.name, fence, self._terms.lease_s)

    async def _move(self, fence: int, before: int, after: int) -> int | None:
        """Where the cursor stands now; None when the fence is outdated, and nothing has moved."""
        async with self._database.background() as connection:
            moved = await followers.move_cursor_under_fence(
                connection,
                self._follower.name,
                fence,
                before=before,
                after=after,
                lease_s=self._terms.lease_s,
            )
        return after if moved else None
