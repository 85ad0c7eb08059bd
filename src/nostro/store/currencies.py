"""Currencies and rates as rows."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from nostro.domain.ids import ObjectId
from nostro.domain.money import Currency
from nostro.store.database import Connection
from nostro.store.queries import SQL


class CurrencyRow(NamedTuple):
    """`custom`: registered here, not of ISO 4217."""

    code: str
    exponent: int
    name: str | None
    custom: bool

    @property
    def currency(self) -> Currency:
        return Currency(self.code, self.exponent)


class RateRow(NamedTuple):
    """Units of `quote` for one of `base`; `maker` exchanges at it, from its settlement accounts."""

    base: str
    quote: str
    rate: Decimal
    maker: ObjectId
    updated_at: datetime


async def currency_by_code(connection: Connection, code: str) -> CurrencyRow | None:
    row = await connection.fetchrow(SQL["currency_by_code"], code)
    return CurrencyRow(*row) if row else None


async def list_currencies(connection: Connection) -> list[CurrencyRow]:
    return [CurrencyRow(*row) for row in await connection.fetch(SQL["list_currencies"])]


async def register_currency(connection: Connection, currency: Currency, name: str) -> None:
    """Raises the driver's unique violation on `currencies_pkey`."""
    await connection.execute(SQL["register_currency"], currency.code, currency.exponent, name)


async def list_rates(connection: Connection) -> list[RateRow]:
    return [_rate(row) for row in await connection.fetch(SQL["list_rates"])]


async def rate_of(connection: Connection, base: str, quote: str) -> RateRow | None:
    row = await connection.fetchrow(SQL["rate_of"], base, quote)
    return _rate(row) if row else None


async def settlement_accounts_in(
    connection: Connection, owner: ObjectId, currencies: Sequence[str]
) -> dict[str, ObjectId]:
    """By currency."""
    rows = await connection.fetch(SQL["settlement_accounts_in"], owner, currencies)
    return {row["currency"]: row["id"] for row in rows}


async def set_rate(
    connection: Connection, base: str, quote: str, rate: Decimal, maker: ObjectId
) -> RateRow | None:
    """None when another maker has the pair."""
    row = await connection.fetchrow(SQL["set_rate"], base, quote, rate, maker)
    return _rate(row) if row else None


def _rate(row: Any) -> RateRow:
    return RateRow(*row)
