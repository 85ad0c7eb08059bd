"""What a follower is. There are two kinds, and the frame does the rest (docs/operating/followers.md):

    Follower          turns events into deliveries, in the transaction that moves its cursor. Deliveries are
    then
                      claimed by senders, sent without a transaction, and marked: each at least once.
    OrderedFollower   publishes events straight from the cursor, under a lease; the cursor moves once all were
                      acknowledged: each at least once, and the first time in order.

What always holds: a delivery exists if and only if the cursor has passed its event; what a process was doing
when it was killed is done again by another; a mark or a move of the cursor counts only under the newest fence.
tests/fault/test_followers.py kills and stops processes to prove it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from nostro.domain.delivery import ClaimedDelivery, Delivery
from nostro.domain.event import Event
from nostro.store.database import Connection

__all__ = [
    "ClaimedDelivery",
    "Delivery",
    "Event",
    "Follower",
    "Idler",
    "Later",
    "NotNow",
    "OrderedFollower",
    "SetAside",
    "Terms",
    "terms_of",
]

# 5 s, 30 s, 2 min, 10 min, 30 min, 2 h, 6 h, 12 h, 24 h: ten attempts within two days.
RETRY_SCHEDULE_S = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 21600.0, 43200.0, 86400.0)


class Follower(Protocol):
    """May be an `Idler`, and have attributes named like members of `Terms` where the usual ones do not fit."""

    name: str

    async def deliveries(self, connection: Connection, events: Sequence[Event]) -> list[Delivery]:
        """What the events become. Runs in the transaction that moves the cursor: read what you need with
        `connection`, send nothing, and wait for nobody."""
        ...

    async def send(self, delivery: ClaimedDelivery) -> None:
        """Send it. Returning means delivered; raise `Later`, `NotNow` or `SetAside` when it is not.

        No transaction is held. May be called again for a delivery that arrived: `delivery.id` is the same.
        """
        ...


@runtime_checkable
class Idler(Protocol):
    """A `Follower` that can tell, without reading events, that nobody wants any."""

    async def unwanted_up_to(self, connection: Connection) -> int | None:
        """A position up to which nobody wants anything, as one statement sees it; None when somebody may."""
        ...


@runtime_checkable
class OrderedFollower(Protocol):
    """As `Follower`, for receivers that want the journal in its order."""

    name: str

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish the events in order. Returning means that all of them were acknowledged; raising, that
        all of them are published again."""
        ...


class Later(Exception):
    """The delivery could not be made now: again after `after_s` seconds, or by the follower's schedule."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_s = after_s


class NotNow(Exception):
    """Nothing was tried, so this counts as no attempt: again after `after_s` seconds."""

    def __init__(self, after_s: float) -> None:
        super().__init__(after_s)
        self.after_s = after_s


class SetAside(Exception):
    """The delivery cannot be made: never again by itself. It stays visible and can be sent by hand."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a follower works. Times are seconds.

    `start`: the position a new follower starts behind; None: where the journal stands then. `batch`: events
    in one transaction. `senders`: deliveries sent at once by one process. `patience_s`: how long one send or
    publish may take. `retry_schedule_s`: waits between attempts; after the last one a delivery is set aside.
    """

    start: int | None = None
    batch: int = 200
    senders: int = 64
    patience_s: float = 30.0
    retry_schedule_s: tuple[float, ...] = RETRY_SCHEDULE_S

    @property
    def lease_s(self) -> float:
        """Twice as long as the work may take: whoever is alive is done before the lease ends."""
        return 2 * self.patience_s

    @property
    def of_each_target(self) -> int:
        """How many deliveries of one target are claimed at once, so that no target takes all of them."""
        return max(1, self.senders // 4)


def terms_of(follower: Follower | OrderedFollower) -> Terms:
    """The usual terms, with those the follower has as attributes of its own."""
    own = {name: getattr(follower, name) for name in Terms.__slots__ if hasattr(follower, name)}
    return Terms(**own)
