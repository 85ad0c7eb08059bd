"""Schedules against an independent telling: walk through every day and every minute, and look at the clock."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nostro.domain.errors import InvalidField
from nostro.domain.schedule import Schedule
from nostro.ledger.schedules import first_after, latest_until, upcoming, valid_cron, valid_zone

# Summer time in both hemispheres, by half an hour (Lord Howe), at midnight (Havana), in Ramadan (Casablanca),
# and a zone that left out the whole of 30 December 2011 (Apia).
ZONES = (
    *("UTC", "Asia/Kolkata", "Europe/Berlin", "America/New_York", "America/Havana"),
    *("Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia"),
)
walking = settings(max_examples=50, deadline=None)  # through thousands of minutes
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

zones = st.sampled_from(ZONES)
moments = st.integers(0, 27 * 366 * 24 * 60).map(
    lambda minutes: datetime(2009, 1, 1, tzinfo=UTC) + minutes * MINUTE
)
# Moments around a change of the clocks are what errors hide behind.
changes = st.sampled_from(
    [
        datetime(2026, 3, 29, 0, 30, tzinfo=UTC),  # Berlin: 02:00 becomes 03:00 at 01:00 UTC
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # Berlin: 03:00 becomes 02:00
        datetime(2026, 3, 8, 6, 30, tzinfo=UTC),  # New York
        datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
        datetime(2026, 4, 4, 14, 45, tzinfo=UTC),  # Lord Howe
        datetime(2026, 10, 3, 15, 15, tzinfo=UTC),
        datetime(2026, 3, 8, 4, 30, tzinfo=UTC),  # Havana: midnight does not exist
        datetime(2011, 12, 30, 9, 30, tzinfo=UTC),  # Apia
        datetime(2028, 2, 28, 12, 0, tzinfo=UTC),  # before a leap day
        datetime(2026, 1, 31, 12, 0, tzinfo=UTC),
    ]
)
interesting = st.one_of(
    moments, changes.flatmap(lambda at: st.integers(-180, 180).map(lambda m: at + m * MINUTE))
)


def when_clocks_show(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """The first minute that shows `wall` on `day` or, where none does, something later."""
    wanted = datetime.combine(day, wall)
    moment = wanted.replace(tzinfo=UTC) - 2 * DAY
    # Only Apia ever leapt further than three hours.
    leap = timedelta(hours=26 if zone.key == "Pacific/Apia" else 3)
    moment += max(timedelta(0), wanted - moment.astimezone(zone).replace(tzinfo=None) - leap)
    while moment.astimezone(zone).replace(tzinfo=None) < wanted:
        moment += MINUTE
    return moment


def dates_of(schedule: Schedule, begin: date) -> Iterator[date]:
    """Every day is asked whether it is one of the schedule's."""
    start = schedule.starts.astimezone(ZoneInfo(schedule.zone)).date()
    day = max(start.replace(day=1), begin)
    while True:
        if schedule.every_days is not None:
            wanted = (day - start).days % schedule.every_days == 0 and day >= start
        else:
            assert schedule.every_months is not None
            months = (day.year - start.year) * 12 + day.month - start.month
            meant = min(schedule.day_of_month or start.day, monthrange(day.year, day.month)[1])
            wanted = months % schedule.every_months == 0 and day.day == meant
        if wanted:
            yield day
        day += DAY


def told_independently(schedule: Schedule, moment: datetime) -> datetime:
    zone = ZoneInfo(schedule.zone)
    wall = schedule.starts.astimezone(zone).time().replace(fold=0)
    for day in dates_of(schedule, moment.astimezone(zone).date() - 3 * DAY):
        due = when_clocks_show(day, wall, zone)
        if due > moment and due >= schedule.starts:
            return due
    raise AssertionError


def in_the_first_of_two_equal_hours(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone)).replace(fold=0).astimezone(UTC)


@walking
@given(
    zone=zones, starts=interesting, ahead=st.integers(-10, 5000), moment=interesting, days=st.integers(1, 40)
)
@example("Europe/Berlin", datetime(2026, 3, 1, 1, 30, tzinfo=UTC), 28, datetime(2026, 3, 28, 12, tzinfo=UTC), 1)
def test_every_so_many_days_at_the_same_time_of_day(
    zone: str, starts: datetime, ahead: int, moment: datetime, days: int
) -> None:
    starts = in_the_first_of_two_equal_hours(starts, zone)
    schedule = Schedule(starts, zone, every_days=days)
    for asked in (moment, starts + ahead * DAY):
        assert first_after(schedule, asked) == told_independently(schedule, asked)


@walking
@given(
    zone=zones,
    starts=interesting,
    ahead=st.integers(-10, 5000),
    months=st.integers(1, 14),
    day=st.none() | st.integers(1, 31),
)
@example("Pacific/Apia", datetime(2011, 9, 30, 19, 0, tzinfo=UTC), 91, 1, 30)
def test_every_so_many_months_on_the_day_or_the_last_there_is(
    zone: str, starts: datetime, ahead: int, months: int, day: int | None
) -> None:
    starts = in_the_first_of_two_equal_hours(starts, zone)
    schedule = Schedule(starts, zone, every_months=months, day_of_month=day)
    asked = starts + ahead * DAY
    assert first_after(schedule, asked) == told_independently(schedule, asked)


def test_the_31st_is_clamped_and_never_drifts() -> None:
    schedule = Schedule(datetime(2027, 12, 31, 8, tzinfo=UTC), "Europe/Berlin", every_months=1)
    due = upcoming(schedule, schedule.starts, None, 5)
    assert [f"{one:%m-%d %H:%M}" for one in due] == [
        "01-31 08:00",
        "02-29 08:00",
        "03-31 07:00",  # summer time: still 09:00 in Berlin
        "04-30 07:00",
        "05-31 07:00",
    ]


def test_an_order_that_starts_in_the_second_of_two_equal_hours_begins_there() -> None:
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # 02:30 in Berlin, for the second time
    schedule = Schedule(second, "Europe/Berlin", every_days=1)
    assert first_after(schedule, second - MINUTE) == second


# ── cron ─────────────────────────────────────────────────────────────────────────────────────────────

fixed_times = st.builds(
    lambda minutes, hours: (sorted(minutes), sorted(hours)),
    st.sets(st.integers(0, 59), min_size=1, max_size=3),
    st.sets(st.integers(0, 23) | st.integers(0, 4), min_size=1, max_size=3),
)


@walking
@given(zone=zones, moment=interesting, at=fixed_times)
@example("Europe/Berlin", datetime(2026, 10, 25, 1, 10, tzinfo=UTC), ([30], [2]))
@example("Europe/Berlin", datetime(2026, 3, 29, 0, 59, tzinfo=UTC), ([0, 30], [2]))
def test_cron_at_fixed_times_runs_each_once_a_day(
    zone: str, moment: datetime, at: tuple[list[int], list[int]]
) -> None:
    minutes, hours = at
    expression = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    schedule = Schedule(moment - DAY, zone, cron=expression)
    today = moment.astimezone(ZoneInfo(zone)).date()
    every = [
        when_clocks_show(today + (nth - 2) * DAY, time(hour, minute), ZoneInfo(zone))
        for nth in range(6)
        for hour in hours
        for minute in minutes
    ]
    assert first_after(schedule, moment) == min(due for due in every if due > moment)


@walking
@given(zone=zones, moment=interesting, minute=st.integers(0, 59), step=st.sampled_from([5, 15, 20]))
def test_cron_with_a_star_follows_the_real_hours(zone: str, moment: datetime, minute: int, step: int) -> None:
    for expression, fits in (
        (f"{minute} * * * *", lambda shown: shown.minute == minute),
        (f"*/{step} * * * *", lambda shown: shown.minute % step == 0),
    ):
        due = first_after(Schedule(moment - DAY, zone, cron=expression), moment)
        wanted = moment + MINUTE
        while not fits(wanted.astimezone(ZoneInfo(zone))):
            wanted += MINUTE
        assert due == wanted


@walking
@given(
    zone=zones,
    moment=interesting,
    expression=st.sampled_from(
        [
            "* * * * *",
            "0 9 L * *",
            "0 9 * * MON-FRI",
            "30 2 29 2 *",
            "0 0 * * 5L",
            "15 1,2,3 * * *",
            "0 12 13 * FRI",
        ]
    ),
)
def test_what_comes_next_goes_on_for_ever_and_never_back(zone: str, moment: datetime, expression: str) -> None:
    schedule = Schedule(moment - DAY, zone, cron=valid_cron(expression))
    due = list(upcoming(schedule, moment, None, 12))
    assert len(due) == 12 or expression.endswith("29 2 *")
    assert all(one < other for one, other in pairwise([moment, *due]))


@walking
@given(zone=zones, starts=interesting, minutes=st.integers(0, 60 * 24 * 90), which=st.integers(0, 4))
def test_the_latest_of_those_missed_is_the_last_one_that_walking_finds(
    zone: str, starts: datetime, minutes: int, which: int
) -> None:
    schedule = [
        Schedule(starts, zone, cron="*/30 1-3 * * *"),
        Schedule(starts, zone, cron="0,30 2 * * *"),
        Schedule(starts, zone, every_days=1),
        Schedule(starts, zone, every_months=1, day_of_month=31),
        Schedule(starts, zone, at=starts),
    ][which]
    due = first_after(schedule, starts - MINUTE)
    assert due is not None
    now = due + minutes * MINUTE + timedelta(seconds=17)
    walked = [due]
    while (following := first_after(schedule, walked[-1])) is not None and following <= now:
        walked.append(following)
    assert latest_until(schedule, due, now) == walked[-1]


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 32 * *", "* * * 13 *", "* * * * 8"),
        *("@daily", "a b c d e", "*/0 * * * *", "5-1 * * * *", "٣ * * * *", "* * * * 1#6", "L * * * *"),
        *("0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6 *", "9" * 200, "* * * * *\n", "0 0 31 2 * ; true"),
    ],
)
def test_an_expression_that_is_wrong_or_never_comes_about_is_refused(wrong: str) -> None:
    if wrong == "* * * * *\n":  # white space around it is none of its words
        assert valid_cron(wrong) == "* * * * *"
        return
    with pytest.raises(InvalidField, match="cron"):
        valid_cron(wrong)


@walking
@given(st.text("0123456789*,/-#LWMONJA ", max_size=40))
def test_whatever_is_written_is_either_refused_or_runs(text: str) -> None:
    try:
        expression = valid_cron(text)
    except InvalidField:
        return
    schedule = Schedule(datetime(2026, 1, 1, tzinfo=UTC), "Europe/Berlin", cron=expression)
    assert first_after(schedule, schedule.starts) is not None


@pytest.mark.parametrize(
    "wrong", ["", "Berlin", "europe/berlin", "../etc/passwd", "/etc/passwd", "UTC+1", "Europe/"]
)
def test_only_names_of_the_database_are_zones(wrong: str) -> None:
    with pytest.raises(InvalidField, match="timeZone"):
        valid_zone(wrong)
    assert valid_zone("Europe/Berlin") == "Europe/Berlin"
