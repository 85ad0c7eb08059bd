"""Moments and days as they are written: RFC 3339 with an offset, or a plain date.

A moment always says its offset: 02:30 on the night the clocks go back is two moments. Moments are shown in
whole milliseconds, so that is what they are compared by: what was shown can be asked for.
"""

import re
from datetime import UTC, date, datetime, timedelta

from nostro.domain.errors import InvalidField

# A "+" that was not percent-encoded in a query arrives as a space.
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(?:([Zz])|([+ -]\d\d:?\d\d))", re.ASCII
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# Far enough from the ends of what a date can be that no time zone and no step leaves it.
_FIRST_YEAR, _LAST_YEAR = 1000, 9000


def parse_moment(text: str, field: str) -> datetime:
    """The beginning of its millisecond, in UTC; `InvalidField` for anything else, and outside the years 1000 to
    9000."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise InvalidField(field, "must be a moment with its offset, such as 2026-11-20T12:00:00Z")
    day, time, _, offset = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time}{(offset or '+00:00').replace(' ', '+')}")
    except ValueError:
        raise InvalidField(field, "is no moment that there is") from None
    _refuse_far_off(moment, field)
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def parse_inclusive(text: str, field: str) -> datetime:
    """The end of its millisecond: what is shown with this moment is not later than it."""
    return parse_moment(text, field) + timedelta(microseconds=999)


def parse_bound(text: str, field: str) -> datetime | date:
    """A moment, or a date, which stands for a whole day of a time zone that is said elsewhere."""
    if not _DAY.fullmatch(text):
        return parse_moment(text, field)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidField(field, "is no day that there is") from None
    _refuse_far_off(day, field)
    return day


def _refuse_far_off(day: date, field: str) -> None:
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise InvalidField(field, f"must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}")
