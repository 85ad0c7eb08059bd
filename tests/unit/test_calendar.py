"""Days, weeks and months of a time zone: also those of 23 and 25 hours, and those that are not there."""

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest

from nostro.domain.errors import InvalidField
from nostro.ledger.calendar import MOST_STEPS, Period, Step, period_of, start_of, steps_of, zone_of

BERLIN = zone_of("Europe/Berlin")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _days(zone: str, first: date, last: date) -> list[timedelta]:
    moments = steps_of(period_of(first, last, zone_of(zone)), Step.DAY, zone_of(zone))
    return [later - earlier for earlier, later in itertools.pairwise(moments)]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Europe/Berlin", date(2026, 7, 1), 24),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),  # the clocks went from 00:00 to 01:00
        ("America/Havana", date(2025, 11, 2), 25),  # from 01:00 back to 00:00: midnight comes twice
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Asia/Kolkata", date(2026, 3, 29), 24),
    ],
)
def test_a_day_is_as_long_as_the_clocks_make_it(zone: str, day: date, hours: float) -> None:
    assert _days(zone, day, day) == [timedelta(hours=hours)]


def test_a_day_begins_at_the_first_instant_of_a_midnight_that_is_skipped_or_repeated() -> None:
    assert start_of(date(2018, 11, 4), zone_of("America/Sao_Paulo")) == _at("2018-11-04T03:00:00+00:00")
    assert start_of(date(2025, 11, 2), zone_of("America/Havana")) == _at("2025-11-02T04:00:00+00:00")


def test_the_day_that_samoa_left_out_is_no_step() -> None:
    assert _days("Pacific/Apia", date(2011, 12, 29), date(2011, 12, 31)) == [timedelta(days=1)] * 2


def test_weeks_begin_on_mondays_and_months_on_the_first() -> None:
    period = period_of(date(2026, 1, 28), date(2026, 3, 1), BERLIN)
    weeks = [moment.astimezone(BERLIN).date() for moment in steps_of(period, Step.WEEK, BERLIN)]
    assert weeks == [
        date(2026, 1, 28),
        *(date(2026, 2, day) for day in (2, 9, 16, 23)),
        date(2026, 3, 2),
    ]
    months = [moment.astimezone(BERLIN).date() for moment in steps_of(period, Step.MONTH, BERLIN)]
    assert months == [date(2026, 1, 28), date(2026, 2, 1), date(2026, 3, 1), date(2026, 3, 2)]
    december = period_of(date(2025, 12, 5), date(2026, 1, 1), BERLIN)
    assert len(steps_of(december, Step.MONTH, BERLIN)) == 3


def test_a_period_that_begins_and_ends_within_days_has_cut_steps() -> None:
    period = Period(_at("2026-05-01T10:00:00+00:00"), _at("2026-05-02T09:00:00+00:00"))
    assert steps_of(period, Step.DAY, zone_of(None)) == [
        period.since,
        _at("2026-05-02T00:00:00+00:00"),
        period.until,
    ]


def test_a_date_is_a_whole_day_of_the_zone() -> None:
    assert period_of(date(2026, 11, 20), date(2026, 11, 20), BERLIN) == Period(
        _at("2026-11-19T23:00:00+00:00"), _at("2026-11-20T23:00:00+00:00")
    )


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "../../etc/passwd", "", "europe/berlin", "UTC\x00", "CET/x", "/"]
)
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidField, match="IANA"):
        zone_of(name)


def test_too_many_steps_and_a_period_that_ends_before_it_begins_are_refused() -> None:
    first = date(2000, 1, 1)
    utc = zone_of(None)
    enough = period_of(first, first + timedelta(days=MOST_STEPS - 1), utc)
    assert len(steps_of(enough, Step.DAY, utc)) == MOST_STEPS + 1
    with pytest.raises(InvalidField, match="step"):
        steps_of(period_of(first, first + timedelta(days=MOST_STEPS), utc), Step.DAY, utc)
    with pytest.raises(InvalidField, match="step"):
        steps_of(period_of(date(1000, 1, 1), date(9000, 12, 31), utc), Step.DAY, utc)
    with pytest.raises(InvalidField, match="later"):
        period_of(date(2026, 1, 2), date(2026, 1, 1), utc)
