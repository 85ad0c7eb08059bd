"""One reading of the journal's live end for all followers of a process: most ask for the same events within
the same moment. The journal never changes, so what one has read is what the next would read.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from nostro.followers.frame import Event
from nostro.followers.pace import Pace
from nostro.ledger.events import events_after
from nostro.ledger.head import JournalWatch
from nostro.ledger.recent import Recent
from nostro.store.database import Connection

_MOST_KEPT = 1000
# Far less than a failover takes: after one, nothing is remembered that the new primary does not have.
_KEPT_FOR_S = 1.0


class LiveEnd:
    """The last events that were read, without a gap, for a second."""

    def __init__(self, recent: Recent, clock: Callable[[], float] = time.monotonic) -> None:
        self._recent = recent
        self._clock = clock
        self._events: list[Event] = []
        self._read_at = 0.0

    async def after(self, connection: Connection, position: int, limit: int) -> Sequence[Event]:
        """The next events, as `ledger.events.events_after` tells them."""
        kept = self._kept(position, limit)
        if kept:
            return kept
        events = await events_after(connection, position, limit, self._recent)
        if events:
            self._keep(events)
        return events

    def _kept(self, position: int, limit: int) -> Sequence[Event]:
        if not self._events or self._clock() - self._read_at > _KEPT_FOR_S:
            return ()
        start = position + 1 - self._events[0].position
        return self._events[start : start + limit] if start >= 0 else ()

    def _keep(self, events: list[Event]) -> None:
        now = self._clock()
        follows = self._events and self._events[-1].position + 1 == events[0].position
        fresh = now - self._read_at <= _KEPT_FOR_S
        self._events = ([*self._events, *events] if follows and fresh else events)[-_MOST_KEPT:]
        self._read_at = now


class Journal(NamedTuple):
    """What the followers of a process share: who looks where the journal stands, who reads its end, and how
    fast they may go."""

    watch: JournalWatch
    live_end: LiveEnd
    pace: Pace
