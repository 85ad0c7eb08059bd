"""Accounts as rows: what a page or a list shows. Heads that money moves on are read by journal.py."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from nostro.domain.account import AccountStatus
from nostro.domain.details import Details, valid_metadata
from nostro.domain.ids import ObjectId
from nostro.domain.money import Currency
from nostro.domain.user import Claims
from nostro.store.arrays import bytes_array, ids_array
from nostro.store.database import Connection
from nostro.store.queries import SQL

_DETAILS = ("name", "description", "reference", "metadata")


class AccountRow(NamedTuple):
    """An account as it stands. `balance` and `held` are minor units of `currency`."""

    id: ObjectId
    owner: ObjectId
    currency: Currency
    status: AccountStatus
    balance: int
    held: int
    name: str | None
    settlement: bool
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    reference: str | None = None
    metadata: str | None = None  # JSON text, every number with its digits

    @property
    def details(self) -> dict[str, str | None]:
        return {
            "name": self.name,
            "description": self.description,
            "reference": self.reference,
            "metadata": valid_metadata(self.metadata) if self.metadata else None,
        }


class Wanted(NamedTuple):
    """Which accounts are looked for: all that fit in everything that is not None.

    `metadata`: JSON objects, one of which the account's holds; `text`: part of name, description or reference,
    in any case.
    """

    reference: str | None = None
    metadata: Sequence[str] | None = None
    text: str | None = None


ANY_ACCOUNT = Wanted()


class BalanceRow(NamedTuple):
    """What one look at a balance found: the caller's token first, then the account if it is theirs."""

    token_epoch: float
    revoked: bool
    account: ObjectId | None
    currency: Currency | None
    balance: int
    held: int


def _row(row: Any) -> AccountRow:
    return AccountRow(
        id=row["id"],
        owner=row["owner"],
        currency=Currency(row["currency"], row["exponent"]),
        status=AccountStatus(row["status"]),
        balance=row["balance"],
        held=row["held"],
        name=row["name"],
        settlement=row["settlement"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        description=row["description"],
        reference=row["reference"],
        metadata=row["metadata"],
    )


async def insert_account(
    connection: Connection,
    account: ObjectId,
    owner: ObjectId,
    currency: Currency,
    details: Details,
    *,
    settlement: bool,
) -> AccountRow:
    """Raises the driver's unique violation on `accounts_one_settlement_per_currency`."""
    await connection.execute(SQL["insert_currency"], currency.code, currency.exponent)
    return _row(
        await connection.fetchrow(
            SQL["insert_account"],
            *(account, owner, currency.code, currency.exponent, settlement),
            *(details.get(name) for name in _DETAILS),
        )
    )


async def account_by_id(connection: Connection, account: ObjectId) -> AccountRow | None:
    row = await connection.fetchrow(SQL["account_by_id"], account)
    return _row(row) if row else None


async def accounts_of(
    connection: Connection, owner: ObjectId, wanted: Wanted = ANY_ACCOUNT
) -> list[AccountRow]:
    return [_row(row) for row in await connection.fetch(SQL["accounts_of"], owner, *wanted)]


async def all_accounts(connection: Connection, wanted: Wanted, limit: int, skip: int) -> list[AccountRow]:
    return [_row(row) for row in await connection.fetch(SQL["all_accounts"], *wanted, limit, skip)]


async def settlement_accounts(connection: Connection, owner: ObjectId) -> list[ObjectId]:
    return [row["id"] for row in await connection.fetch(SQL["settlement_accounts"], owner)]


async def exchanging_accounts(connection: Connection) -> list[ObjectId]:
    """The settlement accounts of everybody who has set an exchange rate."""
    return [row["id"] for row in await connection.fetch(SQL["exchanging_accounts"])]


async def balances_for(
    connection: Connection, asked: Sequence[tuple[Claims, ObjectId]]
) -> list[BalanceRow | None]:
    """For each token and account, in order: None when the token's user is gone; `account` None in the row when
    it is unknown or not the caller's."""
    rows = await connection.fetch(
        SQL["balances_for"],
        ids_array([claims.user for claims, _ in asked]),
        bytes_array([claims.digest for claims, _ in asked]),
        ids_array([account for _, account in asked]),
    )
    return [_balance(row) for row in rows]


def _balance(row: Any) -> BalanceRow | None:
    epoch, revoked, account, currency, exponent, balance, held = row
    if epoch is None:
        return None
    if account is None:
        return BalanceRow(epoch, revoked, None, None, 0, 0)
    return BalanceRow(epoch, revoked, account, Currency(currency, exponent), balance, held)


async def lock_account(connection: Connection, account: ObjectId) -> AccountRow | None:
    """Lock the account until the transaction ends; it as it is then."""
    row = await connection.fetchrow(SQL["lock_account"], account)
    return _row(row) if row else None


async def set_status(connection: Connection, account: ObjectId, status: AccountStatus) -> AccountRow:
    return _row(await connection.fetchrow(SQL["set_status"], account, status.value))


async def set_details(connection: Connection, account: ObjectId, details: Details) -> AccountRow:
    values = (details[name] for name in _DETAILS)
    return _row(await connection.fetchrow(SQL["set_details"], account, *values))
