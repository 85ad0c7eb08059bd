"""Accounts: opening them, seeing them, changing their status."""

from dataclasses import dataclass

from nostro.domain.account import AccountStatus, may_become
from nostro.domain.errors import (
    InvalidField,
    NotOperator,
    StatusConflict,
    UnknownAccount,
)
from nostro.domain.ids import ObjectId
from nostro.domain.money import Currency
from nostro.domain.user import Role
from nostro.ledger.openings import open_in
from nostro.ledger.users import valid_name
from nostro.store import accounts, journal
from nostro.store.accounts import AccountRow
from nostro.store.database import Database
from nostro.store.failures import broken_constraint
from nostro.store.users import User


@dataclass(frozen=True)
class Accounts:
    database: Database

    async def open(self, owner: User, currency: Currency, name: str | None) -> AccountRow:
        """A new account. A system user's is its settlement account: one per currency, `StatusConflict` else."""
        settlement = owner.role is Role.SYSTEM
        name = valid_name(name) if name is not None else None
        try:
            async with self.database.transaction() as connection:
                return await open_in(connection, owner.id, currency, settlement=settlement, name=name)
        except Exception as error:
            if broken_constraint(error) == "accounts_one_settlement_per_currency":
                raise StatusConflict(
                    f"The system user has its settlement account in {currency.code} already"
                ) from error
            raise

    async def of(self, owner: ObjectId) -> list[AccountRow]:
        """In order of opening."""
        async with self.database.connection() as connection:
            return await accounts.accounts_of(connection, owner)

    async def all(self, *, limit: int, skip: int) -> list[AccountRow]:
        async with self.database.connection() as connection:
            return await accounts.all_accounts(connection, limit, skip)

    async def by_id(self, account: ObjectId, owner: ObjectId | None = None) -> AccountRow:
        """`UnknownAccount` when there is none, or when it is not `owner`'s."""
        async with self.database.connection() as connection:
            row = await accounts.account_by_id(connection, account)
        if row is None or (owner is not None and row.owner != owner):
            raise UnknownAccount
        return row

    async def change_status(
        self, actor: User | None, account: ObjectId, after: AccountStatus, reason: str
    ) -> AccountRow:
        """Set an account's status, with an event naming who and why. `actor` None: the command line.

        Under the account's lock: once this returns, no later position debits a frozen account
        (tests/concurrency/test_races.py::test_no_debit_is_written_after_an_acknowledged_freeze).
        Raises `UnknownAccount`, `NotOperator` (the owner may not do this alone) or `StatusConflict`.
        """
        by_operator = actor is None or actor.role is Role.OPERATOR
        reason = valid_name(reason, "reason")
        async with self.database.transaction() as connection:
            locked = await accounts.lock_status(connection, account)
            if locked is None or (actor and not by_operator and locked[0] != actor.id):
                raise UnknownAccount
            owner, before, balance, held = locked
            _check_change(before, after, by_operator=by_operator, is_empty=balance == 0 and held == 0)
            row = await accounts.set_status(connection, account, after)
            await journal.append_event(
                connection,
                "ACCOUNT_STATUS_CHANGED",
                actor=actor.id if actor else None,
                user=owner,
                account=account,
                before=before.value,
                after=after.value,
                reason=reason,
            )
        return row


def _check_change(before: AccountStatus, after: AccountStatus, *, by_operator: bool, is_empty: bool) -> None:
    if not may_become(before, after, by_operator=True):
        raise StatusConflict(f"An account that is {before.value} cannot become {after.value}")
    if not may_become(before, after, by_operator=by_operator):
        raise NotOperator
    if after is AccountStatus.CLOSED and not is_empty:
        raise StatusConflict("An account is closed only when its balance is 0 and nothing is held")


def parse_status(text: object) -> AccountStatus:
    """The status `text` names; SUSPENDED is another word for FROZEN."""
    name = text.strip().upper() if isinstance(text, str) else ""
    try:
        return AccountStatus("FROZEN" if name == "SUSPENDED" else name)
    except ValueError:
        names = ", ".join(status.value for status in AccountStatus)
        raise InvalidField("status", f"must be one of {names}") from None
