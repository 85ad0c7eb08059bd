"""Money: integers in minor units, read exactly from text and written back exactly. No float anywhere.

Accepted amounts are `^(0|[1-9][0-9]{0,15})(\\.[0-9]+)?$` in ASCII, greater than zero, with no more places
than the currency has and at most 10**15 minor units. tests/unit/test_money.py holds the table.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from nostro.domain.errors import InvalidAmount, InvalidField

MAX_MINOR = 10**15
INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
# The longest text that can still be an amount: 16 digits, a point and a fraction whose zeros add nothing.
MAX_TEXT = 64

_RATE = re.compile(r"(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,12})?", re.ASCII)
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,15})(?:\.([0-9]+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Currency:
    """An ISO 4217 code and its exponent: how many decimal places a major unit has (INR 2, JPY 0, KWD 3)."""

    code: str
    exponent: int


@dataclass(frozen=True, slots=True)
class Amount:
    """`digits` × 10**-`scale`, in lowest terms, so that 10, 10.0 and "10.00" are one amount.

    Its currency is known only once the account is, so the places are judged by `minor_units`.
    """

    digits: int
    scale: int

    def minor_units(self, exponent: int) -> int:
        """The amount in minor units of a currency with `exponent` places; `InvalidAmount` if it has more."""
        if self.scale > exponent:
            raise InvalidAmount(f"The currency has {exponent} decimal places")
        minor: int = self.digits * 10 ** (exponent - self.scale)
        if abs(minor) > MAX_MINOR:
            raise InvalidAmount("The amount is larger than 10^15 minor units")
        return minor

    @property
    def decimal(self) -> Decimal:
        """In major units, for a search among several currencies."""
        return Decimal(self.digits).scaleb(-self.scale)

    def at_least(self, exponent: int) -> int:
        """The least minor units that are not below it, for a search; places that the currency has not count."""
        return min(-self._floor(-1, exponent), INT64_MAX)

    def at_most(self, exponent: int) -> int:
        """The most minor units that are not above it, for a search."""
        return min(self._floor(1, exponent), INT64_MAX)

    def _floor(self, sign: int, exponent: int) -> int:
        floor: int = sign * self.digits * 10**exponent // 10**self.scale
        return floor


@lru_cache(maxsize=4096)
def parse_amount(text: str) -> Amount:
    """The amount that `text` writes; `InvalidAmount` for anything outside the grammar, and for zero.

    Remembered: a few amounts are most of those that people send.
    """
    amount = _parse(text)
    if amount.digits == 0:
        raise InvalidAmount("The amount must be greater than zero")
    return amount


def parse_bound(text: str) -> Amount:
    """As `parse_amount`, for what an account may have or pay: zero too, and less with a minus sign."""
    unsigned = text.removeprefix("-")
    amount = _parse(unsigned)
    if unsigned == text:
        return amount
    if amount.digits == 0:
        raise InvalidAmount("Zero has no sign")
    return Amount(-amount.digits, amount.scale)


def _parse(text: str) -> Amount:
    if len(text) > MAX_TEXT:
        raise InvalidAmount("The amount is too long")
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise InvalidAmount("An amount is ASCII digits with at most one decimal point, such as 10 or 10.50")
    whole, fraction = match.groups()
    fraction = fraction.rstrip("0") if fraction else ""
    return Amount(int(whole + fraction), len(fraction))


def show_amount(minor: int, exponent: int) -> str:
    """Major units as the shortest exact decimal: 1050 with 2 places is `10.5`, 1000 is `10`."""
    if exponent == 0:
        return str(minor)
    whole, fraction = divmod(abs(minor), 10**exponent)
    sign = "-" if minor < 0 else ""
    places = f"{fraction:0{exponent}d}".rstrip("0")
    return f"{sign}{whole}.{places}" if places else f"{sign}{whole}"


def parse_rate(text: str) -> Decimal:
    """An exchange rate: greater than zero, below 10**12, with at most 12 places. Raises `InvalidField`."""
    if not _RATE.fullmatch(text) or not Decimal(text):
        raise InvalidField("rate", "must be a positive decimal number with at most 12 places")
    return Decimal(text)


def show_rate(rate: Decimal) -> str:
    """The shortest exact decimal."""
    return f"{rate.normalize():f}"
