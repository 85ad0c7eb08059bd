"""Which currencies there are, and how many decimal places each has: ISO 4217, and assets registered here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from iso4217 import Currency as IsoCurrency

from nostro.domain.errors import CurrencyTaken, InvalidField, NotOperator, UnknownCurrency
from nostro.domain.money import Currency
from nostro.domain.user import Role
from nostro.ledger.users import valid_name
from nostro.store import currencies, journal
from nostro.store.currencies import CurrencyRow
from nostro.store.database import Database
from nostro.store.failures import broken_constraint
from nostro.store.users import User

MOST_PLACES = 12

_CODE = re.compile(r"[A-Z][A-Z0-9]{2,11}", re.ASCII)
# What PostgreSQL takes for no value at all when it stands bare in an array.
_NO_CODE = "NULL"


@cache
def _iso() -> dict[str, CurrencyRow]:
    # Codes without an exponent (gold, bond units, test codes) are no money one can count in minor units.
    return {
        iso.code: CurrencyRow(iso.code, iso.exponent, iso.currency_name, False)
        for iso in IsoCurrency
        if iso.exponent is not None
    }


def currency_of(code: object) -> Currency:
    """The currency of ISO 4217 called `code` (any case); `UnknownCurrency` when it has none."""
    row = _iso().get(spelt(code))
    if row is None:
        raise UnknownCurrency
    return row.currency


def spelt(code: object) -> str:
    """As currencies are written; "" for what is no text."""
    return code.strip().upper() if isinstance(code, str) else ""


@dataclass(frozen=True)
class Currencies:
    database: Database

    async def of(self, code: object) -> Currency:
        """The currency called `code` (any case), of ISO 4217 or registered here; `UnknownCurrency` else.

        What the ledger counts in already comes first: its places never change, whatever a later ISO 4217 says.
        """
        wanted = spelt(code)
        if not _CODE.fullmatch(wanted):
            raise UnknownCurrency
        async with self.database.connection() as connection:
            row = await currencies.currency_by_code(connection, wanted)
        return row.currency if row is not None else currency_of(wanted)

    async def all(self) -> Sequence[CurrencyRow]:
        """All of ISO 4217 that have places, and those registered here, by code."""
        async with self.database.connection() as connection:
            known = {row.code: row for row in await currencies.list_currencies(connection)}
        named = {code: iso._replace(exponent=known.get(code, iso).exponent) for code, iso in _iso().items()}
        return [row for _, row in sorted((known | named).items())]

    async def register(self, actor: User | None, code: str, exponent: int, name: str) -> CurrencyRow:
        """A new asset that accounts may be opened in, with `exponent` (0 to 12) places for ever.

        By operators, system users and (None) the command line. Raises `NotOperator`, `InvalidField`,
        `CurrencyTaken`.
        """
        if actor is not None and actor.role not in {Role.OPERATOR, Role.SYSTEM}:
            raise NotOperator("Only an operator or a system user may do this")
        currency, name = Currency(_new_code(code), _places(exponent)), valid_name(name)
        try:
            async with self.database.transaction() as connection:
                await currencies.register_currency(connection, currency, name)
                await journal.append_event(
                    connection,
                    "CURRENCY_REGISTERED",
                    actor=actor.id if actor else None,
                    code=currency.code,
                    exponent=exponent,
                    name=name,
                )
        except Exception as error:
            if broken_constraint(error) == "currencies_pkey":
                raise CurrencyTaken(f"There is a currency called {currency.code} already") from error
            raise
        return CurrencyRow(currency.code, exponent, name, True)


def _new_code(code: str) -> str:
    wanted = spelt(code)
    if not _CODE.fullmatch(wanted) or wanted == _NO_CODE:
        raise InvalidField("code", "must be 3 to 12 letters and digits, a letter first, and not NULL")
    if any(iso.code == wanted for iso in IsoCurrency):
        raise InvalidField("code", "must not be a code of ISO 4217")
    return wanted


def _places(exponent: int) -> int:
    if not 0 <= exponent <= MOST_PLACES:
        raise InvalidField("exponent", f"must be a whole number from 0 to {MOST_PLACES}")
    return exponent
