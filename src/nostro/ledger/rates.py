"""At which rates system users exchange one currency for another, from their settlement accounts.

A rate holds for every exchange decided after it was acknowledged: setting it takes the locks of the maker's
settlement accounts, which an exchange takes before it reads the rate
(tests/concurrency/test_limit_races.py::test_no_exchange_is_written_at_an_older_rate).
"""

from dataclasses import dataclass
from decimal import Decimal

from nostro.domain.errors import (
    InvalidField,
    NotFound,
    NotSystemUser,
    RateTaken,
    SystemAccountNotFound,
)
from nostro.domain.money import show_rate
from nostro.domain.user import Role
from nostro.ledger.currencies import Currencies
from nostro.store import currencies, journal
from nostro.store.currencies import RateRow
from nostro.store.database import Connection, Database
from nostro.store.users import User


@dataclass(frozen=True)
class Rates:
    database: Database
    currencies: Currencies

    async def all(self) -> list[RateRow]:
        async with self.database.connection() as connection:
            return await currencies.list_rates(connection)

    async def of(self, base: str, quote: str) -> RateRow:
        """`NotFound` when nobody exchanges `base` for `quote`. Raises `UnknownCurrency`."""
        pair = (await self.currencies.of(base)).code, (await self.currencies.of(quote)).code
        async with self.database.connection() as connection:
            row = await currencies.rate_of(connection, *pair)
        if row is None:
            raise NotFound("Nobody exchanges between these two currencies")
        return row

    async def set(self, maker: User, base: str, quote: str, rate: Decimal) -> RateRow:
        """From now on `maker` gives `rate` units of `quote` for one of `base`.

        An event tells the rate before and after; there is none when it stays the same. Raises `NotSystemUser`,
        `UnknownCurrency`, `InvalidField`, `SystemAccountNotFound` and `RateTaken` (the pair has another maker).
        """
        if maker.role is not Role.SYSTEM:
            raise NotSystemUser
        pair = (await self.currencies.of(base)).code, (await self.currencies.of(quote)).code
        if pair[0] == pair[1]:
            raise InvalidField("quote", "must be another currency than base")
        async with self.database.transaction() as connection:
            await _lock_settlement_accounts(connection, maker, pair)
            before = await currencies.rate_of(connection, *pair)
            if before is not None and (before.maker, before.rate) == (maker.id, rate):
                return before
            after = await currencies.set_rate(connection, *pair, rate, maker.id)
            if after is None:
                raise RateTaken
            await journal.append_event(
                connection,
                "RATE_CHANGED",
                actor=maker.id,
                user=maker.id,
                base=after.base,
                quote=after.quote,
                before=show_rate(before.rate) if before else None,
                after=show_rate(after.rate),
            )
        return after


async def _lock_settlement_accounts(connection: Connection, maker: User, pair: tuple[str, str]) -> None:
    found = await currencies.settlement_accounts_in(connection, maker.id, pair)
    for code in pair:
        if code not in found:
            raise SystemAccountNotFound(f"The system user has no settlement account in {code}")
    await journal.lock_accounts(connection, list(found.values()))
