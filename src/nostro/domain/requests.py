"""What can be asked of the ledger, as parsed; nothing in it has been looked up yet.

Every request has an `id` given before the decision, so that a transaction found under the request's key after a
lost COMMIT can be told from an earlier one (ledger/committer.py).
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount
from nostro.domain.transaction import NO_NOTES, KeyScope, Notes, Operation
from nostro.domain.user import Claims

MOST_LEGS = 100
LONGEST_HOLD_S = 366 * 24 * 3600


class LegWish(NamedTuple):
    from_account: ObjectId
    to_account: ObjectId
    amount: Amount


class Part(NamedTuple):
    """One receiver of a split: of a fixed amount, of a share of the whole (0 < share ≤ 1), or of the rest."""

    account: ObjectId
    amount: Amount | None = None
    share: Fraction | None = None


class Condition(NamedTuple):
    """The request is meant only if this holds under the lock, of the paying account (`payer`) or the receiving.

    `what` is "balance" (in major units) or "version" (the number of the account's last entry); `test` is gte,
    lte or eq.
    """

    payer: bool
    what: str
    test: str
    value: Decimal


class Terms(NamedTuple):
    """Everything about a transfer that most transfers do not say."""

    hold: bool = False
    expires_in_s: int | None = None
    legs: tuple[LegWish, ...] = ()
    split: tuple[Part, ...] = ()
    conditions: tuple[Condition, ...] = ()
    effective_at: datetime | None = None
    restate: bool = False
    expected_rate: Decimal | None = None
    notes: Notes = NO_NOTES


PLAIN = Terms()


@dataclass(slots=True)
class TransferRequest:
    """A request to move money, or (`terms.hold`) to set it aside.

    `from_account` None: the caller's settlement account in the receiver's currency (initial funds). With legs,
    accounts and amount are those of the first leg; with a split, `to_account` is the first receiver.
    """

    id: ObjectId
    operation: Operation
    claims: Claims
    key: str
    digest: bytes
    from_account: ObjectId | None
    to_account: ObjectId
    amount: Amount
    terms: Terms = PLAIN

    @property
    def scope(self) -> KeyScope:
        return KeyScope(self.claims.user, self.operation, self.key)

    @property
    def accounts(self) -> list[ObjectId]:
        """Every account it names."""
        named = [self.to_account] if self.from_account is None else [self.from_account, self.to_account]
        if self.terms is not PLAIN:
            for leg in self.terms.legs:
                named += [leg.from_account, leg.to_account]
            named += [part.account for part in self.terms.split]
        return named


@dataclass(slots=True)
class FollowUp:
    """A request about an earlier transaction, `parent`: EXTEND, CAPTURE or VOID a hold, or REVERSE a movement.

    `amount` None: all that is left.
    """

    id: ObjectId
    operation: Operation
    claims: Claims
    key: str
    digest: bytes
    parent: ObjectId
    amount: Amount | None = None
    final: bool = False
    expires_in_s: int = 0
    force: bool = False
    notes: Notes = NO_NOTES

    @property
    def scope(self) -> KeyScope:
        return KeyScope(self.claims.user, self.operation, self.key)

    @property
    def accounts(self) -> list[ObjectId]:
        """It names none: they are those of its parent."""
        return []


Request = TransferRequest | FollowUp
