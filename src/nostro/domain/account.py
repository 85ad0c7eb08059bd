"""Accounts: their head, their status, and what each status allows (rules.md, account status)."""

from dataclasses import dataclass
from enum import StrEnum

from nostro.domain.ids import ObjectId


class AccountStatus(StrEnum):
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    FROZEN = "FROZEN"
    BLOCKED = "BLOCKED"
    CLOSED = "CLOSED"


_MAY_BECOME: dict[AccountStatus, frozenset[AccountStatus]] = {
    AccountStatus.ACTIVE: frozenset(AccountStatus) - {AccountStatus.ACTIVE},
    AccountStatus.INACTIVE: frozenset({AccountStatus.ACTIVE, AccountStatus.CLOSED}),
    AccountStatus.FROZEN: frozenset({AccountStatus.ACTIVE, AccountStatus.BLOCKED, AccountStatus.CLOSED}),
    AccountStatus.BLOCKED: frozenset({AccountStatus.ACTIVE, AccountStatus.CLOSED}),
    AccountStatus.CLOSED: frozenset(),
}

# What an owner may do to an account alone; everything else takes an operator.
_OWNER_MAY: frozenset[tuple[AccountStatus, AccountStatus]] = frozenset(
    {
        (AccountStatus.ACTIVE, AccountStatus.INACTIVE),
        (AccountStatus.INACTIVE, AccountStatus.ACTIVE),
        (AccountStatus.ACTIVE, AccountStatus.CLOSED),
        (AccountStatus.INACTIVE, AccountStatus.CLOSED),
    }
)


def may_become(before: AccountStatus, after: AccountStatus, *, by_operator: bool) -> bool:
    return after in _MAY_BECOME[before] and (by_operator or (before, after) in _OWNER_MAY)


_ACTIVE = AccountStatus.ACTIVE  # each movement asks twice, and an enum is slow to tell (posting.py)


@dataclass(slots=True)
class Account:
    """An account's head as it was read under the lock; `posting` moves it forward, the store writes it.

    `balance`, `held`, `floor` and `ceiling` are minor units of the currency. `floor` None: may go negative
    without limit, which only a settlement account (where money enters the ledger) may. `limited`: there are
    limits on what it may pay (limits.py).
    """

    id: ObjectId
    owner: ObjectId
    currency: str
    exponent: int
    status: AccountStatus
    balance: int
    held: int
    last_seq: int
    floor: int | None
    ceiling: int | None
    settlement: bool
    limited: bool = False

    @property
    def available(self) -> int:
        return self.balance - self.held

    @property
    def pays(self) -> bool:
        return self.status is _ACTIVE

    def receives(self, *, frozen_receives: bool) -> bool:
        return self.status is _ACTIVE or (frozen_receives and self.status is AccountStatus.FROZEN)
