"""The books of a batch: everything it refers to, as it stands under the lock, and what it has written so far.

Only the posting rules write here (posting.py, holds.py, reversals.py), each row and each head through one of
the few methods below; the store reads before and writes after.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from nostro.domain.account import Account
from nostro.domain.errors import NostroError
from nostro.domain.ids import ObjectId
from nostro.domain.limits import Limits
from nostro.domain.transaction import Direction, Entry, KeyScope, Transaction
from nostro.domain.user import Caller

_DEBIT, _CREDIT = Direction.DEBIT, Direction.CREDIT  # an enum is slow to tell (posting.py)


@dataclass(frozen=True, slots=True)
class Policy:
    """`house_exponent`: the places judged when the paying account says nothing the caller may know."""

    house_exponent: int = 2
    frozen_receives: bool = False


class Rate(NamedTuple):
    """`maker`: the system user whose settlement accounts stand in between."""

    rate: Decimal
    maker: ObjectId


@dataclass(slots=True)
class Books:
    """`stories`: the earlier transactions that the batch is about. `expired`: holds on its accounts whose time
    is over and whose EXPIRY is not written yet. `new_id`: ids for rows that nobody asked for."""

    now: datetime
    accounts: dict[ObjectId, Account]
    callers: dict[ObjectId, Caller]
    revoked: set[bytes]
    recorded: dict[KeyScope, Transaction]
    stories: dict[ObjectId, Transaction] = field(default_factory=dict)
    expired: list[Transaction] = field(default_factory=list)
    limits: dict[ObjectId, Limits] = field(default_factory=dict)
    closed_until: dict[str, datetime] = field(default_factory=dict)
    rates: dict[tuple[str, str], Rate] = field(default_factory=dict)
    new_id: Callable[[], ObjectId] | None = None
    transactions: list[Transaction] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    moved: dict[ObjectId, Account] = field(default_factory=dict)
    continued: dict[ObjectId, Transaction] = field(default_factory=dict)
    counted: dict[ObjectId, Limits] = field(default_factory=dict)
    _settlements: dict[tuple[ObjectId, str], Account] | None = None

    def settlement_of(self, owner: ObjectId, currency: str) -> Account | None:
        if self._settlements is None:
            self._settlements = {(a.owner, a.currency): a for a in self.accounts.values() if a.settlement}
        return self._settlements.get((owner, currency))

    def record(self, transaction: Transaction) -> None:
        self.transactions.append(transaction)
        self.recorded[transaction.scope] = transaction

    def move(self, transaction: Transaction, source: Account, target: Account, amount: int) -> None:
        """A DEBIT and a CREDIT of the same amount."""
        self._enter(transaction, source, _DEBIT, -amount, amount)
        self._enter(transaction, target, _CREDIT, amount, amount)

    def _enter(
        self, transaction: Transaction, account: Account, direction: Direction, change: int, amount: int
    ) -> None:
        account.balance += change
        account.last_seq += 1
        self.entries.append(
            Entry(
                account.id,
                account.last_seq,
                transaction.id,
                direction,
                amount,
                account.balance,
                transaction.effective_at,
            )
        )
        self.moved[account.id] = account

    def hold(self, transaction: Transaction, account: Account, change: int) -> None:
        """Set money of `account` aside, or (`change` below 0) let it go; its balance does not move."""
        account.held += change
        transaction.held_after = account.held
        self.moved[account.id] = account

    def go_on(self, story: Transaction) -> None:
        """The summary of `story` has changed."""
        story.updated_at = self.now
        self.continued[story.id] = story

    def happened_at(self, moment: datetime) -> None:
        """What was written is known to have been written at `moment`, later than at `now`."""
        later = moment - self.now
        self.now = moment
        for transaction in self.transactions:
            transaction.created_at = moment
            if transaction.expires_at is not None:
                transaction.expires_at += later
        for story in self.continued.values():
            story.updated_at = moment

    def limits_of(self, account: Account) -> Limits | None:
        limits = self.limits.get(account.id) if account.limited else None
        if limits is not None:
            limits.begin(self.now)
        return limits

    def count(self, account: Account, amount: int) -> None:
        """`amount` more was spent."""
        limits = self.limits_of(account)
        if limits is not None:
            limits.count(amount)
            self.counted[account.id] = limits

    def give_back(self, account: Account, amount: int, placed_at: datetime) -> None:
        """`amount` that a hold of `placed_at` had counted was not spent after all."""
        limits = self.limits_of(account)
        if limits is not None:
            limits.give_back(amount, placed_at)
            self.counted[account.id] = limits

    def forget(self) -> None:
        """Nothing of this batch is to be written."""
        self.transactions, self.entries = [], []
        self.moved, self.continued, self.counted = {}, {}, {}


@dataclass(slots=True)
class Posted:
    """The transaction that answers a request, and whether it was there before (`replayed`)."""

    transaction: Transaction
    replayed: bool


Outcome = Posted | NostroError
