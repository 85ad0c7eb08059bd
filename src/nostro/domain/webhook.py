"""Webhooks: which events one asks for, and when a delivery that failed is tried again.

The schedule is the example of Standard Webhooks; tests/unit/test_webhook_rules.py walks all of it.
"""

from collections.abc import Collection, Iterable, Sequence
from enum import Enum

from nostro.domain.errors import InvalidField

MOST_PATTERNS = 50
EVERYTHING = "*"
# How long after the attempts 1, 2, 3 … that failed the next one follows: ten attempts in three and a half days.
RETRY_SCHEDULE_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
MOST_ATTEMPTS = len(RETRY_SCHEDULE_S) + 1
# Deliveries that failed together must not all come back in the same moment.
_JITTER = 0.2


class Scope(Enum):
    """Whose events a webhook gets: those its owner may see, or everybody's (operators only)."""

    OWN = "OWN"
    ALL = "ALL"


class WebhookStatus(Enum):
    ENABLED = "ENABLED"
    DISABLED = "DISABLED"


def retry_after_s(attempt: int, luck: float) -> float | None:
    """Seconds from the failure of attempt number `attempt` (from 1) to the next; None: it was the last.

    `luck`, from 0 to 1, spreads them by a fifth to either side.
    """
    if attempt >= MOST_ATTEMPTS:
        return None
    return RETRY_SCHEDULE_S[attempt - 1] * (1 + _JITTER * (2 * luck - 1))


def parse_patterns(given: Sequence[str], known_types: Collection[str]) -> tuple[str, ...]:
    """Event types (`transaction.completed`), groups of them (`transaction.*`) or all (`*`), each once.

    Raises `InvalidField` for none, for too many, and for one that no event will ever match.
    """
    if not 1 <= len(given) <= MOST_PATTERNS:
        raise InvalidField("eventTypes", f"must be 1 to {MOST_PATTERNS} event types")
    for pattern in given:
        if not any(matches(pattern, event_type) for event_type in known_types):
            raise InvalidField("eventTypes", "must be event types such as transaction.completed, hold.* or *")
    return tuple(dict.fromkeys(given))


def matches(pattern: str, event_type: str) -> bool:
    if pattern == EVERYTHING:
        return True
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type


def wants(patterns: Iterable[str], event_type: str) -> bool:
    return any(matches(pattern, event_type) for pattern in patterns)
