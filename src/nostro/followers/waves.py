"""Many events to a broker at once, and still in order for every account.

What must hold: of two events that concern the same account or user, the later is sent only when the broker has
acknowledged the earlier (tests/unit/test_broker_order.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from nostro.domain.event import INTERNAL_TYPES, Event
from nostro.domain.ids import ObjectId

# Messages that wait for their acknowledgement at a time.
MOST_UNDER_WAY = 256


def waves(events: Iterable[Event]) -> list[list[Event]]:
    """Cut so that no two events of one wave concern the same account or user, and of two that do the earlier is
    in an earlier wave. What is nobody's business outside is left out."""
    cut: list[list[Event]] = []
    behind: dict[ObjectId, int] = {}
    for event in events:
        if event.type in INTERNAL_TYPES:
            continue
        concerned = {*event.accounts, *event.users}
        wave = max((behind.get(one, 0) for one in concerned), default=0)
        if wave == len(cut):
            cut.append([])
        cut[wave].append(event)
        behind.update(dict.fromkeys(concerned, wave + 1))
    return cut


def message_id(event: Event) -> str:
    """Of one event in every message that carries it; two ledgers at one broker do not meet in it."""
    return f"{event.source}:{event.id}"


async def publish_in_order(events: Iterable[Event], send: Callable[[Event], Awaitable[None]]) -> None:
    """`send` each; it returns when the broker has acknowledged.

    When one fails the others under way are waited for, so that none of them arrives behind what is sent next;
    then the first failure is raised.
    """
    for wave in waves(events):
        for first in range(0, len(wave), MOST_UNDER_WAY):
            sent = [send(event) for event in wave[first : first + MOST_UNDER_WAY]]
            for outcome in await asyncio.gather(*sent, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
