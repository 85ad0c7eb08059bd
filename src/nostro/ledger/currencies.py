"""ISO 4217: which currency codes exist and how many decimal places each has."""

from functools import cache

from iso4217 import Currency as IsoCurrency

from nostro.domain.errors import UnknownCurrency
from nostro.domain.money import Currency


@cache
def _by_code() -> dict[str, Currency]:
    # Codes without an exponent (gold, bond units, test codes) are no money one can count in minor units.
    return {iso.code: Currency(iso.code, iso.exponent) for iso in IsoCurrency if iso.exponent is not None}


def currency_of(code: object) -> Currency:
    """The currency called `code` (any case); `UnknownCurrency` when ISO 4217 has none."""
    currency = _by_code().get(code.strip().upper()) if isinstance(code, str) else None
    if currency is None:
        raise UnknownCurrency
    return currency
