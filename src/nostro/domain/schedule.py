"""When a standing order is due: calendar arithmetic in the order's own time zone.

Every date is reckoned from the start, never from the date before it: the 31st becomes the last day of a shorter
month and is the 31st again in the next long one. The time of day is the zone's, summer and winter. A time that
a clock skips becomes the first minute that exists after it; of a time that a clock shows twice, the first
counts (tests/property/test_schedules.py holds all of it to an independent telling).

Cron expressions are read by ledger/schedules.py, which asks this module for the rest.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import count

_MINUTE = timedelta(minutes=1)
_MONTHS_IN_A_YEAR = 12


@dataclass(frozen=True, slots=True)
class Schedule:
    """Exactly one of `at`, `cron`, `every_days` and `every_months` is given.

    `starts`: nothing is due before it; the dates of `every_…` are reckoned from it. `day_of_month` (1 to 31):
    the day meant in each month, that of `starts` unless given. `zone`: a name of the time zone database.
    """

    starts: datetime
    zone: str
    at: datetime | None = None
    cron: str | None = None
    every_days: int | None = None
    every_months: int | None = None
    day_of_month: int | None = None


def first_date_after(schedule: Schedule, zone: tzinfo, moment: datetime) -> datetime:
    """The first moment after `moment` at which an order of every so many days or months is due, in UTC."""
    anchor = schedule.starts.astimezone(zone)
    for day in _dates(schedule, anchor.date(), moment.astimezone(zone).date()):
        # `fold` goes with the time of day: an order that starts in the second of two equal hours stays in it.
        due = instant(day, anchor, zone)
        if due > moment and due >= schedule.starts:
            return due
    raise AssertionError("dates go on for ever")


def _dates(schedule: Schedule, anchor: date, wanted: date) -> Iterator[date]:
    """The schedule's dates in order, from one that is surely not after `wanted` unless it is the first."""
    if schedule.every_days is not None:
        days = schedule.every_days
        begin = max(0, (wanted - anchor).days // days - 1)
        return (anchor + timedelta(days=nth * days) for nth in count(begin))
    assert schedule.every_months is not None, "a schedule of dates is of days or of months"
    months, first = schedule.every_months, _month(anchor)
    begin = max(0, (_month(wanted) - first) // months - 1)
    day = schedule.day_of_month or anchor.day
    return (_in_month(first + nth * months, day) for nth in count(begin))


def _month(day: date) -> int:
    return day.year * _MONTHS_IN_A_YEAR + day.month - 1


def _in_month(month: int, day: int) -> date:
    """`day` of the month, or the last one it has."""
    year, index = divmod(month, _MONTHS_IN_A_YEAR)
    return date(year, index + 1, min(day, monthrange(year, index + 1)[1]))


def instant(day: date, time_of: datetime, zone: tzinfo) -> datetime:
    """The moment, in UTC, when clocks in `zone` show the time of day of `time_of` on `day`."""
    wall = datetime.combine(day, time_of.time())
    while (found := wall.replace(tzinfo=zone).astimezone(UTC)).astimezone(zone).replace(tzinfo=None) != wall:
        wall += _MINUTE
    return found
