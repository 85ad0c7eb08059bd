"""Moments and days as clients write them."""

from datetime import UTC, date, datetime

import pytest

from nostro.domain.errors import InvalidField
from nostro.domain.moments import parse_bound, parse_inclusive, parse_moment

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T12:00:00Z",
        "2026-11-20t12:00z",
        "2026-11-20T12:00:00.000Z",
        "2026-11-20T12:00:00.000999999Z",
        "2026-11-20T17:30:00+05:30",
        "2026-11-20T17:30:00 05:30",  # a plus sign that nobody encoded
        "2026-11-20T07:00-0500",
    ],
)
def test_a_moment_is_read_with_its_offset(text: str) -> None:
    assert parse_moment(text, "at") == parse_bound(text, "at") == NOON


def test_an_inclusive_moment_is_its_whole_millisecond() -> None:
    assert parse_inclusive("2026-11-20T12:00:00.000Z", "at") == NOON.replace(microsecond=999)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "now",
            "2026-11-20T12:00:00",
            "2026-11-20 12:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-11-20T24:00:00Z",
        ),
        *(
            "2026-11-20T12:00:60Z",
            "2026-11-20T12Z",
            "1763640000",
            "20261120T120000Z",
            "0001-01-01T00:00:00+14:00",
        ),
        *(
            "9999-12-31T23:59:59-14:00",
            "2026-11-20T12:00:00+99:99",
            "２０２６-11-20T12:00:00Z",
            "2026-11-20T12:00:00Z\n",
        ),
        *("2026-W47-5T12:00Z", "x" * 10_000),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    for parse in (parse_moment, parse_inclusive, parse_bound):
        with pytest.raises(InvalidField):
            parse(text, "at")


def test_a_date_is_a_date_only_where_a_day_is_meant() -> None:
    assert parse_bound("2026-11-20", "from") == date(2026, 11, 20)
    for text in ("2026-11-31", "0999-01-01", "9001-01-01", "2026-11-2"):
        with pytest.raises(InvalidField):
            parse_bound(text, "from")
    with pytest.raises(InvalidField):
        parse_moment("2026-11-20", "at")
