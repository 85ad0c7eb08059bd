"""Deliveries: what one event becomes for one target of one follower, and the name it has for ever."""

import hashlib
from typing import Any, NamedTuple

# The target of an event that its follower could not turn into deliveries: set aside as a whole.
WHOLE_EVENT = "(event)"


class Delivery(NamedTuple):
    """What a follower makes of an event. There is one per event and target; `payload` is JSON."""

    position: int
    event_id: str
    target: str
    payload: dict[str, Any]


class ClaimedDelivery(NamedTuple):
    """A delivery in the hands of one sender. `attempt` counts from 1; `fence` tells this claim from any
    other."""

    id: str
    follower: str
    position: int
    event_id: str
    target: str
    payload: dict[str, Any]
    attempt: int
    fence: int


class DeliveryName(NamedTuple):
    follower: str
    position: int
    digest: str


def delivery_id(follower: str, position: int, target: str) -> str:
    """The same for every attempt, on every process, and after a replay: it is derived, never drawn."""
    return f"{follower}-{position}-{_digest(target)}"


def parse_delivery_id(text: str) -> DeliveryName | None:
    """The parts of a delivery's id; None when `text` is not one."""
    follower, _, rest = text.partition("-")
    position, _, digest = rest.partition("-")
    if not (follower and position.isascii() and position.isdigit() and len(position) < 19 and digest):
        return None
    return DeliveryName(follower, int(position), digest)


def names(digest: str, target: str) -> bool:
    """Whether an id with this digest is about `target`."""
    return digest == _digest(target)


def _digest(target: str) -> str:
    return hashlib.sha256(target.encode()).hexdigest()[:16]
