"""Amounts and times as one reader writes them.

An amount has exactly the places of its currency in the ledger, whatever the locale's own tables say: CLDR shows
some currencies with fewer (an Iraqi dinar has three places in ISO 4217, none in CLDR).
"""

import copy
import re
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import parse_pattern

from nostro.domain.mail import MailPreferences
from nostro.followers.mail.facts import Money

# CLDR asks for a space between a currency's letters and the number; the pattern alone does not say so.
_TOUCHING = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_NO_BREAK_SPACE = "\xa0"


def house_locale(currency: str) -> str:
    """English as it is written where `currency` is at home: `en_IN` for INR. The first two letters of an
    ISO 4217 code are a country's; where CLDR knows no English of that country, plain `en`."""
    try:
        return str(Locale.parse(f"en_{currency[:2]}"))
    except (UnknownLocaleError, ValueError):
        return "en"


class Wording:
    """How one reader writes. `usual` is the locale of those who chose none."""

    def __init__(self, preferences: MailPreferences, usual: str) -> None:
        self._locale = Locale.parse(preferences.locale or usual)
        self._zone = ZoneInfo(preferences.time_zone)

    def money(self, amount: Money) -> str:
        pattern = copy.copy(parse_pattern(self._locale.currency_formats["standard"]))
        pattern.frac_prec = (amount.exponent, amount.exponent)
        written = pattern.apply(
            Decimal(amount.minor).scaleb(-amount.exponent),
            self._locale,
            currency=amount.currency,
            currency_digits=False,
        )
        return _TOUCHING.sub(_NO_BREAK_SPACE, written)

    def moment(self, when: datetime) -> str:
        """Date, time and time zone."""
        return format_datetime(when, "long", tzinfo=self._zone, locale=self._locale)

    def day(self, day: date) -> str:
        return format_date(day, "long", locale=self._locale)
