"""What accounts may have and pay: floor, ceiling, and limits on outgoing money; set by operators.

They are judged when money is about to move, under the lock of the account (domain/posting.py). A change takes
the same lock, so that no later position of the journal goes against a limit whose setting was acknowledged
(tests/concurrency/test_limit_races.py).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nostro.domain.errors import InvalidAmount, InvalidField, LimitConflict, NotOperator, UnknownAccount
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount, parse_bound
from nostro.domain.user import Role
from nostro.ledger.accounts import is_operator, locked_for
from nostro.ledger.users import valid_name
from nostro.store import accounts, journal, limits
from nostro.store.accounts import AccountRow
from nostro.store.database import Database
from nostro.store.limits import Bounds, LimitsRow
from nostro.store.users import User

# Floor, ceiling, single, daily and monthly are amounts, hourly is a number of transfers.
Limit = Amount | int
# By name; None removes.
Wishes = Mapping[str, Limit | None]

_COUNT = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True)
class Limits:
    database: Database

    async def of(self, account: ObjectId, viewer: User | None) -> tuple[AccountRow, LimitsRow]:
        """For its owner, the staff and (None) the command line; `UnknownAccount` for everybody else."""
        async with self.database.connection() as connection:
            row = await accounts.account_by_id(connection, account)
            if row is None or (viewer and viewer.role is Role.CUSTOMER and row.owner != viewer.id):
                raise UnknownAccount
            return row, await limits.limits_of(connection, account)

    async def set(
        self, actor: User | None, account: ObjectId, wishes: Wishes, reason: str
    ) -> tuple[AccountRow, LimitsRow]:
        """Change the limits that are named; the others stay. `actor` None: the command line.

        An event tells all of them as they were and are, with the reason; there is none when nothing changes.
        Raises `UnknownAccount`, `NotOperator`, `InvalidAmount` (more places than the currency has) and
        `LimitConflict` (a floor above what is available, a ceiling below the balance).
        """
        reason = valid_name(reason, "reason")
        async with self.database.transaction() as connection:
            row = await locked_for(connection, account, actor)
            if not is_operator(actor):
                raise NotOperator
            before = (await limits.limits_of(connection, account)).bounds
            after = _wished(before, wishes, row)
            _refuse_contradictions(after, row)
            await limits.set_limits(connection, account, after)
            changed = await limits.limits_of(connection, account)
            if after != before:
                await journal.append_event(
                    connection,
                    "LIMITS_CHANGED",
                    actor=actor.id if actor else None,
                    user=row.owner,
                    account=account,
                    before=before._asdict(),
                    after=after._asdict(),
                    reason=reason,
                )
        return row, changed


def parse_limit(text: str, name: str) -> Limit:
    """What `text` writes for the limit `name`. Raises `InvalidField` (hourly), `InvalidAmount` (the others)."""
    if name == "hourly":
        if not _COUNT.fullmatch(text):
            raise InvalidField("hourly", "must be a whole number from 0 to 999999999")
        return int(text)
    try:
        amount = parse_bound(text)
    except InvalidAmount as refusal:
        raise InvalidAmount(refusal.detail, field=name) from None
    if amount.digits < 0 and name != "floor":
        raise InvalidAmount("Only the floor may be below zero", field=name)
    return amount


def _wished(before: Bounds, wishes: Wishes, row: AccountRow) -> Bounds:
    after = before._replace(
        **{
            name: wish.minor_units(row.currency.exponent) if isinstance(wish, Amount) else wish
            for name, wish in wishes.items()
        }
    )
    # Only where money enters the ledger may a balance fall without limit.
    return after._replace(floor=0) if after.floor is None and not row.settlement else after


def _refuse_contradictions(after: Bounds, row: AccountRow) -> None:
    """A floor or a ceiling holds from the moment it is set, so it cannot be set beyond what is there."""
    money = {"currency": row.currency.code, "exponent": row.currency.exponent}
    if after.floor is not None and row.balance - row.held < after.floor:
        raise LimitConflict(
            "The floor is above what is available", field="floor", available=row.balance - row.held, **money
        )
    if after.ceiling is not None and row.balance > after.ceiling:
        raise LimitConflict("The ceiling is below the balance", field="ceiling", balance=row.balance, **money)
