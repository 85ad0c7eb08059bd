"""Amounts and times as their reader writes them."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from babel.numbers import parse_decimal
from hypothesis import given
from hypothesis import strategies as st

from nostro.domain.mail import MailPreferences
from nostro.followers.mail.facts import Money
from nostro.followers.mail.wording import Wording, house_locale

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def wording(locale: str | None = None, time_zone: str = "UTC", usual: str = "en_IN") -> Wording:
    return Wording(MailPreferences(locale=locale, time_zone=time_zone), usual)


@pytest.mark.parametrize(
    ("locale", "amount", "written"),
    [
        (None, Money(123456750, "INR", 2), "₹12,34,567.50"),  # lakhs, as is usual in India
        ("en_US", Money(123456750, "INR", 2), "₹1,234,567.50"),
        ("en", Money(1234567, "JPY", 0), "¥1,234,567"),
        ("ja_JP", Money(1234567, "JPY", 0), "￥1,234,567"),
        ("en", Money(1234567, "KWD", 3), "KWD\xa01,234.567"),
        ("de_DE", Money(123456789, "EUR", 2), "1.234.567,89\xa0€"),
        ("bn_BD", Money(123456750, "BDT", 2), "12,34,567.50৳"),
        ("en", Money(5, "IQD", 3), "IQD\xa00.005"),  # CLDR would show none of its three places
        ("en", Money(123456, "POINTS", 5), "POINTS\xa01.23456"),
        ("en", Money(-99950, "INR", 2), "-₹999.50"),
        ("en", Money(10**15, "USD", 2), "$10,000,000,000,000.00"),
        ("en", Money(0, "INR", 2), "₹0.00"),
    ],
)
def test_an_amount_has_the_readers_grouping_and_the_currencys_places(
    locale: str | None, amount: Money, written: str
) -> None:
    assert wording(locale).money(amount) == written


@given(minor=st.integers(-(2**63), 2**63 - 1), exponent=st.integers(0, 12))
def test_no_digit_of_any_amount_is_lost(minor: int, exponent: int) -> None:
    written = wording("en").money(Money(minor, "XTS", exponent)).replace("XTS\xa0", "")
    assert parse_decimal(written, locale="en") == Decimal(minor).scaleb(-exponent)


@pytest.mark.parametrize(
    ("currency", "locale"),
    [("INR", "en_IN"), ("USD", "en_US"), ("GBP", "en_GB"), ("KWD", "en"), ("EUR", "en"), ("POINTS", "en")],
)
def test_the_usual_locale_is_that_of_the_currencys_home(currency: str, locale: str) -> None:
    assert house_locale(currency) == locale


def test_a_time_is_told_in_the_readers_zone_and_names_it() -> None:
    assert wording(time_zone="Asia/Kolkata").moment(NOON) == "20 November 2026, 5:30:00\u202fpm +0530"
    assert wording("de_DE").moment(NOON) == "20. November 2026, 12:00:00 UTC"
    assert wording("de_DE").day(date(2026, 11, 30)) == "30. November 2026"
