"""Which events a webhook wants, and the retry schedule of Standard Webhooks, walked without a clock."""

import pytest

from nostro.domain.errors import InvalidField
from nostro.domain.webhook import MOST_ATTEMPTS, parse_patterns, retry_after_s, wants

# "immediately, 5 seconds, 5 minutes, 30 minutes, 2, 5, 10, 14, 20 and 24 hours": each after the one before.
WAITS_S = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)


def test_a_delivery_is_tried_ten_times_by_the_published_schedule() -> None:
    assert [retry_after_s(attempt, 0.5) for attempt in range(1, MOST_ATTEMPTS)] == list(WAITS_S)
    assert retry_after_s(MOST_ATTEMPTS, 0.5) is None
    assert MOST_ATTEMPTS == 10


@pytest.mark.parametrize("attempt", range(1, MOST_ATTEMPTS))
def test_each_wait_is_spread_by_a_fifth_to_either_side(attempt: int) -> None:
    least, most = retry_after_s(attempt, 0.0), retry_after_s(attempt, 1.0)
    assert least == pytest.approx(0.8 * WAITS_S[attempt - 1])
    assert most == pytest.approx(1.2 * WAITS_S[attempt - 1])


@pytest.mark.parametrize(
    ("pattern", "event_type", "wanted"),
    [
        ("*", "transaction.completed", True),
        ("transaction.completed", "transaction.completed", True),
        ("transaction.completed", "transaction.reversed", False),
        ("transaction.*", "transaction.reversed", True),
        ("transaction.*", "transactions.reversed", False),
        ("transaction.*", "transaction", False),
        ("hold.*", "transaction.completed", False),
        ("standing_order.failed", "standing_order.failed", True),
    ],
)
def test_a_pattern_is_a_type_a_group_or_everything(pattern: str, event_type: str, wanted: bool) -> None:
    assert wants([pattern], event_type) is wanted


KNOWN = ("transaction.completed", "hold.created", "standing_order.failed")


def test_a_pattern_counts_once() -> None:
    assert parse_patterns(["hold.*", "*", "hold.*"], KNOWN) == ("hold.*", "*")


@pytest.mark.parametrize(
    "given",
    [
        *([], [""], ["**"], ["*.completed"], ["Transaction.completed"], ["a..b"], ["hold."], ["hold"]),
        *(["transaction.complete"], ["transactions.*"], ["hold.created", "a b"], ["*"] * 51),
    ],
)
def test_what_no_event_would_ever_match_is_refused(given: list[str]) -> None:
    with pytest.raises(InvalidField):
        parse_patterns(given, KNOWN)
