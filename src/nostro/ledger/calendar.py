"""Days, weeks and months of a time zone, as moments. A day begins at its first instant, whatever the clocks do.

tests/unit/test_calendar.py has the nights on which clocks are moved, also at midnight, and the day that Samoa
left out.
"""

from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from nostro.domain.errors import InvalidField

MOST_STEPS = 1000
_A_DAY = timedelta(days=1)


class Step(Enum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Period(NamedTuple):
    """From `since` up to, but not with, `until`."""

    since: datetime
    until: datetime


@cache
def _known() -> set[str]:
    return available_timezones()


def zone_of(name: str | None) -> ZoneInfo:
    """UTC when None; `InvalidField` for a name that the IANA database has not."""
    if name is None:
        return ZoneInfo("UTC")
    if name not in _known():
        raise InvalidField("tz", "must be a time zone of the IANA database, such as Europe/Berlin")
    return ZoneInfo(name)


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """The first instant; of a midnight skipped, the end of the gap, of one repeated, the earlier."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def since_of(bound: datetime | date, zone: ZoneInfo) -> datetime:
    """A date begins with its first instant."""
    return bound if isinstance(bound, datetime) else start_of(bound, zone)


def until_of(bound: datetime | date, zone: ZoneInfo) -> datetime:
    """A date ends where the next one begins."""
    return bound if isinstance(bound, datetime) else start_of(bound + _A_DAY, zone)


def period_of(since: datetime | date, until: datetime | date, zone: ZoneInfo) -> Period:
    period = Period(since_of(since, zone), until_of(until, zone))
    if period.since >= period.until:
        raise InvalidField("to", "must be later than from")
    return period


def steps_of(period: Period, step: Step, zone: ZoneInfo) -> list[datetime]:
    """The moments at which the steps of a period begin, and its end; first and last step may be cut short."""
    moments = [period.since]
    day = period.since.astimezone(zone).date()
    while True:
        day = _following(day, step)
        begins = start_of(day, zone)
        if begins >= period.until:
            return [*moments, period.until]
        if begins > moments[-1]:  # a day that the zone left out begins and ends at once
            moments.append(begins)
        if len(moments) > MOST_STEPS:
            raise InvalidField("step", f"must not make more than {MOST_STEPS} steps of the period")


def _following(day: date, step: Step) -> date:
    match step:
        case Step.DAY:
            return day + _A_DAY
        case Step.WEEK:
            return day + timedelta(days=7 - day.weekday())
        case Step.MONTH:
            return date(day.year + day.month // 12, day.month % 12 + 1, 1)
