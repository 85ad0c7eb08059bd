"""Senders: claim deliveries, send them without a transaction, mark them under the fence of the claim.

Every target has its turn: a claim takes a few of each, and a target that keeps failing is left alone for a
while, so that neither a slow nor a dead one holds up the others (tests/fault/test_followers.py).
"""

import asyncio
import contextlib
from collections import Counter

import structlog

from nostro.domain.delivery import WHOLE_EVENT
from nostro.domain.errors import Unavailable
from nostro.followers.frame import ClaimedDelivery, Follower, Later, NotNow, SetAside, Terms
from nostro.followers.marks import Marks
from nostro.followers.pace import Pace
from nostro.followers.pauses import Pauses
from nostro.ledger.events import events_after
from nostro.store import followers
from nostro.store.database import Database
from nostro.store.followers import Mark

log = structlog.get_logger(__name__)

# How often somebody looks for deliveries that have become due again, or whose sender is gone.
_LOOK_EVERY_S = 1.0
# What a delivery takes of the thread, more or less, from claim to mark.
_WORK_OF_ONE_S = 0.0003
# How long free senders wait for more of them to become free, so that one claim serves several.
_GATHER_S = 0.05


class Senders:
    """Up to `terms.senders` deliveries of one follower under way in this process."""

    def __init__(
        self,
        database: Database,
        pace: Pace,
        follower: Follower,
        terms: Terms,
        found: asyncio.Event,
    ) -> None:
        """`found` tells that there may be something to claim."""
        self._database = database
        self._pace = pace
        self._follower = follower
        self._terms = terms
        self._found = found
        self._marks = Marks(database, follower.name)
        self._pauses = Pauses()
        self._under_way: dict[asyncio.Task[None], ClaimedDelivery] = {}
        self._turn = ""

    async def run(self) -> None:
        """Work until cancelled; then what is under way is given back, to be claimed by others at once."""
        writing = asyncio.create_task(self._marks.run())
        try:
            while True:
                self._found.clear()
                if await self._claim():
                    await self._pace.rest(len(self._under_way) * _WORK_OF_ONE_S)
                    await self._gather()
                else:
                    await self._woken(_LOOK_EVERY_S)
        finally:
            await self._give_back()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            with contextlib.suppress(Exception):
                await self._marks.write()

    async def _claim(self) -> bool:
        """Start what can be claimed now; whether there may be more at once."""
        room = self._room()
        if room <= 0:
            return False
        try:
            async with self._database.background() as connection:
                claim = await followers.claim(
                    connection,
                    self._follower.name,
                    self._turn,
                    room,
                    self._terms.of_each_target,
                    self._terms.lease_s,
                    self._left_alone(),
                )
        except Unavailable:
            return False
        except Exception:
            log.exception("claim_failed", follower=self._follower.name)
            return False
        began_behind, self._turn = self._turn, claim.next_target
        for delivery in claim.deliveries:
            task = asyncio.create_task(self._send(delivery))
            self._under_way[task] = delivery
            task.add_done_callback(self._done)
        # Done only when a round over all targets, from the first to the last, has found nothing.
        return bool(claim.deliveries or claim.next_target or began_behind)

    async def _gather(self) -> None:
        """Return when a quarter of the senders are free, or after `_GATHER_S`."""
        patient_until = asyncio.get_running_loop().time() + _GATHER_S
        while self._room() < max(1, self._terms.senders // 4):
            left = patient_until - asyncio.get_running_loop().time()
            if left <= 0:
                return
            self._found.clear()
            await self._woken(left)

    async def _woken(self, after_s: float) -> None:
        """Return when something was found or a sender is free, or after a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(after_s):
                await self._found.wait()

    def _room(self) -> int:
        return self._terms.senders - len(self._under_way)

    def _left_alone(self) -> set[str]:
        """Targets that are paused, and those that have their share of the senders already."""
        sending = Counter(delivery.target for delivery in self._under_way.values())
        busy = {target for target, count in sending.items() if count >= self._terms.of_each_target}
        return busy.union(self._pauses.paused(asyncio.get_running_loop().time()))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        self._found.set()

    async def _send(self, delivery: ClaimedDelivery) -> None:
        schedule = self._terms.retry_schedule_s
        if delivery.attempt > len(schedule) + 1:
            # Claimed again and again, and never marked: whatever it does to its senders, it does it no more.
            self._marks.add(Mark(delivery, "SET_ASIDE", error="every process that tried it ended"))
            return
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(self._terms.patience_s):
                await self._deliver(delivery)
        except SetAside as verdict:
            self._marks.add(Mark(delivery, "SET_ASIDE", error=verdict.reason))
        except NotNow as verdict:
            self._marks.add(Mark(delivery, "PENDING", verdict.after_s, given_back=True))
        except Later as verdict:
            self._pauses.failed(delivery.target, now())
            self._marks.add(self._again(delivery, verdict.reason, verdict.after_s))
        except Unavailable:
            self._marks.add(self._again(delivery, "the database could not be reached", None))
        except TimeoutError:
            self._pauses.failed(delivery.target, now())
            self._marks.add(self._again(delivery, f"no answer within {self._terms.patience_s:g} s", None))
        except Exception as error:
            self._pauses.failed(delivery.target, now())
            log.exception("delivery_failed", follower=self._follower.name, delivery=delivery.id)
            self._marks.add(self._again(delivery, f"failed ({type(error).__name__})", None))
        else:
            self._pauses.succeeded(delivery.target)
            self._marks.add(Mark(delivery, "SENT"))

    async def _deliver(self, delivery: ClaimedDelivery) -> None:
        if delivery.target != WHOLE_EVENT:
            await self._follower.send(delivery)
            return
        # Sent by hand after it was set aside: the follower may be able to take the event by now.
        async with self._database.transaction(background=True) as connection:
            events = await events_after(connection, delivery.position - 1, 1)
            made = await self._follower.deliveries(connection, events)
            await followers.add_deliveries(connection, self._follower.name, made)

    def _again(self, delivery: ClaimedDelivery, reason: str, after_s: float | None) -> Mark:
        """Once more later; set aside when the schedule has no more attempts."""
        schedule = self._terms.retry_schedule_s
        if delivery.attempt > len(schedule):
            return Mark(delivery, "SET_ASIDE", error=reason)
        again_s = schedule[delivery.attempt - 1] if after_s is None else after_s
        return Mark(delivery, "PENDING", again_s, reason)

    async def _give_back(self) -> None:
        """End what is under way. What was sent may not be marked, so it counts as an attempt."""
        cut_short = dict(self._under_way)
        for task in cut_short:
            task.cancel()
        await asyncio.gather(*cut_short, return_exceptions=True)
        for task, delivery in cut_short.items():
            if task.cancelled():
                self._marks.add(Mark(delivery, "PENDING", given_back=True))
