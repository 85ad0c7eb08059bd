"""How fast the followers of a process may go: when there is more to do than can be done, transfers come first.

Up to `KEEPS_UP` positions a second followers keep up, whatever it costs. Beyond that, while the thread they
share with whoever serves requests is busy, they rest longer and longer after what they did, one after the
other, until all of them together are down to a few percent. What they fall behind meanwhile they catch up with
afterwards: nothing is lost by being late. In a process that commits next to nothing the thread is their own.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from nostro.ledger.head import JournalWatch
from nostro.ledger.recent import Recent

KEEPS_UP = 2500
# Transactions a second, of this process, from which the thread is shared.
SHARED = 250
# The part of its time that the thread may be at work, or wait for a processor to work on.
BUSY = 0.4
LOOK_EVERY_S = 0.1
# A rest, as a multiple of the work before it.
SHORTEST_REST, LONGEST_REST = 0.25, 16.0
# No rest lasts longer: a lease is to be kept, and what was too much may be over.
MOST_AT_ONCE_S = 5.0
_STEP = 1.5


def time_wanted_s() -> float:
    """For how long this thread has been at work, or (where the system tells) has waited for a processor."""
    try:
        at_work, waiting, *_ = Path("/proc/thread-self/schedstat").read_text("ascii").split()
    except OSError:
        return time.thread_time()
    return (int(at_work) + int(waiting)) / 1e9


class Pace:
    """`clock` tells time, `wanted` how much of it this thread wanted to work in; both in seconds."""

    def __init__(
        self,
        watch: JournalWatch,
        recent: Recent,
        clock: Callable[[], float] = time.monotonic,
        wanted: Callable[[], float] = time_wanted_s,
    ) -> None:
        self._watch = watch
        self._recent = recent
        self._clock = clock
        self._wanted = wanted
        self._looked_at, self._wanted_then, self._committed_then = clock(), wanted(), recent.committed
        self._rest = SHORTEST_REST
        self._rested_at = 0.0

    async def rest(self, worked_s: float) -> None:
        """Rest after having worked for so long."""
        await asyncio.sleep(self.due_s(worked_s))

    def due_s(self, worked_s: float) -> float:
        """How long that rest is. The shortest each takes for itself; what is more begins when that of the
        others ends, so that they are not more to bear for being many."""
        shortest = worked_s * SHORTEST_REST
        more = worked_s * self.multiple() - shortest
        if more <= 0:
            return shortest
        now = self._clock()
        self._rested_at = min(max(self._rested_at, now) + more, now + MOST_AT_ONCE_S)
        return min(shortest + self._rested_at - now, MOST_AT_ONCE_S)

    def multiple(self) -> float:
        """How many times as long as it worked a follower rests now."""
        now = self._clock()
        passed = now - self._looked_at
        if passed >= LOOK_EVERY_S:
            wanted, committed = self._wanted(), self._recent.committed
            too_much = (
                self._watch.growth > KEEPS_UP
                and (committed - self._committed_then) / passed > SHARED
                and (wanted - self._wanted_then) / passed > BUSY
            )
            self._looked_at, self._wanted_then, self._committed_then = now, wanted, committed
            rest = self._rest * _STEP if too_much else self._rest / _STEP
            self._rest = min(max(rest, SHORTEST_REST), LONGEST_REST)
        return self._rest
