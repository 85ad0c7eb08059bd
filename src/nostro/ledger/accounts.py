"""Accounts: opening them, seeing them, changing their status and what is said of them."""

from dataclasses import dataclass

import msgspec

from nostro.domain.account import AccountStatus, may_become
from nostro.domain.details import Details
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
from nostro.store import accounts, journal, trail
from nostro.store.accounts import ANY_ACCOUNT, AccountRow, Wanted
from nostro.store.database import Connection, Database
from nostro.store.failures import broken_constraint
from nostro.store.trail import AccountEvent
from nostro.store.users import User


@dataclass(frozen=True)
class Accounts:
    database: Database

    async def open(self, owner: User, currency: Currency, details: Details | None = None) -> AccountRow:
        """A new account. A system user's is its settlement account: one per currency, `StatusConflict` else."""
        settlement = owner.role is Role.SYSTEM
        try:
            async with self.database.transaction() as connection:
                return await open_in(
                    connection, owner.id, currency, settlement=settlement, details=details or {}
                )
        except Exception as error:
            if broken_constraint(error) == "accounts_one_settlement_per_currency":
                raise StatusConflict(
                    f"The system user has its settlement account in {currency.code} already"
                ) from error
            raise

    async def of(self, owner: ObjectId, wanted: Wanted = ANY_ACCOUNT) -> list[AccountRow]:
        """In order of opening."""
        async with self.database.connection() as connection:
            return await accounts.accounts_of(connection, owner, wanted)

    async def all(self, wanted: Wanted = ANY_ACCOUNT, *, limit: int, skip: int) -> list[AccountRow]:
        async with self.database.connection() as connection:
            return await accounts.all_accounts(connection, wanted, limit, skip)

    async def by_id(self, account: ObjectId, owner: ObjectId | None = None) -> AccountRow:
        """`UnknownAccount` when there is none, or when it is not `owner`'s."""
        async with self.database.connection() as connection:
            row = await accounts.account_by_id(connection, account)
        if row is None or (owner is not None and row.owner != owner):
            raise UnknownAccount
        return row

    async def events(self, account: ObjectId, *, limit: int, skip: int) -> list[AccountEvent]:
        """What happened to the account itself, newest first: opening, statuses, limits, details."""
        async with self.database.connection() as connection:
            return await trail.account_events(connection, account, limit=limit, skip=skip)

    async def change_status(
        self, actor: User | None, account: ObjectId, after: AccountStatus, reason: str
    ) -> AccountRow:
        """Set an account's status, with an event naming who and why. `actor` None: the command line.

        Under the account's lock: once this returns, no later position debits a frozen account
        (tests/concurrency/test_races.py::test_no_debit_is_written_after_an_acknowledged_freeze).
        Raises `UnknownAccount`, `NotOperator` (the owner may not do this alone) or `StatusConflict`.
        """
        reason = valid_name(reason, "reason")
        async with self.database.transaction() as connection:
            locked = await locked_for(connection, account, actor)
            _check_change(locked, after, by_operator=is_operator(actor))
            row = await accounts.set_status(connection, account, after)
            await journal.append_event(
                connection,
                "ACCOUNT_STATUS_CHANGED",
                actor=actor.id if actor else None,
                user=row.owner,
                account=account,
                before=locked.status.value,
                after=after.value,
                reason=reason,
            )
        return row

    async def change_details(self, actor: User | None, account: ObjectId, given: Details) -> AccountRow:
        """Change what is given of name, description, reference and metadata; the owner may, and operators.

        An event tells what it was before and what it is now; there is none when nothing changes. `actor` None:
        the command line. Raises `UnknownAccount`.
        """
        async with self.database.transaction() as connection:
            row = await locked_for(connection, account, actor)
            before = {name: value for name in given if (value := row.details[name]) != given[name]}
            if not before:
                return row
            changed = await accounts.set_details(connection, account, {**row.details, **given})
            await journal.append_event(
                connection,
                "ACCOUNT_DETAILS_CHANGED",
                actor=actor.id if actor else None,
                user=row.owner,
                account=account,
                before=_as_json(before),
                after=_as_json({name: given[name] for name in before}),
            )
        return changed


def _as_json(details: Details) -> dict[str, object]:
    """Metadata as it is written, so that its numbers keep their digits."""
    return {
        name: msgspec.Raw(value.encode()) if name == "metadata" and value is not None else value
        for name, value in details.items()
    }


def is_operator(actor: User | None) -> bool:
    """Whether `actor` may do what operators may; None is the command line, which may everything."""
    return actor is None or actor.role is Role.OPERATOR


async def locked_for(connection: Connection, account: ObjectId, actor: User | None) -> AccountRow:
    """The account, locked until the transaction ends.

    Raises `UnknownAccount` unless it is the actor's or the actor is an operator.
    """
    row = await accounts.lock_account(connection, account)
    if row is None or (actor and not is_operator(actor) and row.owner != actor.id):
        raise UnknownAccount
    return row


def _check_change(row: AccountRow, after: AccountStatus, *, by_operator: bool) -> None:
    if not may_become(row.status, after, by_operator=True):
        raise StatusConflict(f"An account that is {row.status.value} cannot become {after.value}")
    if not may_become(row.status, after, by_operator=by_operator):
        raise NotOperator
    if after is AccountStatus.CLOSED and (row.balance != 0 or row.held != 0):
        raise StatusConflict("An account is closed only when its balance is 0 and nothing is held")


def parse_status(text: object) -> AccountStatus:
    """The status `text` names; SUSPENDED is another word for FROZEN."""
    name = text.strip().upper() if isinstance(text, str) else ""
    try:
        return AccountStatus("FROZEN" if name == "SUSPENDED" else name)
    except ValueError:
        names = ", ".join(status.value for status in AccountStatus)
        raise InvalidField("status", f"must be one of {names}") from None
