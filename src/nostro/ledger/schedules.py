"""Schedules as they are asked for and as they run: time zones, cron expressions, and what comes next.

Cron is Debian's, with five fields: minute, hour, day of month (`L` is the last), month, day of week (`5L` the
last Friday, `1#2` the second Monday). A fixed time of day that a clock skips is made up for at the first minute
after the gap, and one that a clock shows twice counts once; an expression with `*` for minute or hour follows
the real hours instead, all of them.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from nostro.domain.errors import InvalidField
from nostro.domain.schedule import Schedule, first_date_after
from nostro.domain.standing_order import CatchUp, StandingOrder

LONGEST_CRON = 100
LONGEST_STEP_DAYS = 3660
LONGEST_STEP_MONTHS = 120
# Nothing is due later: the calendar arithmetic stays far from the last year there is.
END_OF_TIME = datetime(2200, 1, 1, tzinfo=UTC)

_CRON = re.compile(r"[0-9A-Za-z*,/#-]+( [0-9A-Za-z*,/#-]+){4}", re.ASCII)
_MINUTE = timedelta(minutes=1)
_A_MOMENT = timedelta(microseconds=1)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def valid_zone(name: str) -> str:
    """`name` itself; `InvalidField` unless the time zone database knows it."""
    if name not in _zones():
        raise InvalidField("timeZone", "must be a name of the time zone database, such as Europe/Berlin")
    return name


def valid_cron(text: str) -> str:
    """The expression with single spaces; `InvalidField` for one that is wrong or can never come about."""
    expression = " ".join(text.split())
    rule = "must be a cron expression of five fields that comes about within 50 years"
    if len(expression) > LONGEST_CRON or not _CRON.fullmatch(expression):
        raise InvalidField("cron", rule)
    try:
        if next(CronSim(expression, datetime(2000, 1, 1)), None) is None:  # noqa: DTZ001 - any day, any zone
            raise InvalidField("cron", rule)
    except (CronSimError, ValueError, AssertionError, TypeError) as error:
        raise InvalidField("cron", rule) from error
    return expression


def first_after(schedule: Schedule, moment: datetime) -> datetime | None:
    """When the schedule is due first after `moment`, in UTC; None when it never is again."""
    if schedule.at is not None:
        return schedule.at if schedule.at > moment else None
    if schedule.cron is not None:
        due = _cron_after(schedule.cron, ZoneInfo(schedule.zone), max(moment, schedule.starts - _A_MOMENT))
    else:
        due = first_date_after(schedule, ZoneInfo(schedule.zone), moment)
    return due if due is not None and due < END_OF_TIME else None


def _cron_after(expression: str, zone: ZoneInfo, moment: datetime) -> datetime | None:
    # In the second of two equal hours the library begins with the first again: what has passed is left out.
    found = (local.astimezone(UTC) for local in CronSim(expression, moment.astimezone(zone)))
    return next((due for due in found if due > moment), None)


def latest_until(schedule: Schedule, due: datetime, moment: datetime) -> datetime:
    """The last time the schedule was due until `moment`, given that it was at `due`, not after `moment`."""
    minutes = range((moment - due) // _MINUTE + 1)

    def was_due_within(back: int) -> bool:
        found = first_after(schedule, moment - back * _MINUTE)
        return found is not None and found <= moment

    # No schedule is due twice within a minute, so the shortest look back that finds one finds the last.
    back = bisect_left(minutes, True, key=was_due_within)
    return first_after(schedule, moment - back * _MINUTE) or due if back < len(minutes) else due


def upcoming(schedule: Schedule, after: datetime, ends: datetime | None, most: int) -> Iterator[datetime]:
    """The next `most` times at most, none later than `ends`."""
    return islice(_following(schedule, after, ends), most)


def _following(schedule: Schedule, moment: datetime, ends: datetime | None) -> Iterator[datetime]:
    while (due := first_after(schedule, moment)) is not None and (ends is None or due <= ends):
        yield due
        moment = due


def occurrence_due(order: StandingOrder, now: datetime) -> datetime:
    """When the occurrence that is carried out now was due: of those missed, the first, or with LATEST the
    last."""
    assert order.due_at is not None, "only an order that is due is carried out"
    if order.catch_up is CatchUp.ALL or order.attempts > 0:
        return order.due_at
    until = now if order.ends_at is None else min(now, order.ends_at)
    return latest_until(order.schedule, order.due_at, until)
