"""What is written down: a transaction, which is one journal row, and its immutable entries."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from nostro.domain.errors import InvalidKey
from nostro.domain.ids import ObjectId

LONGEST_KEY = 255


class Operation(StrEnum):
    """What a request asks for; with its user and its key, the scope in which the key stands for one request."""

    TRANSFER = "TRANSFER"
    INITIAL_FUNDS = "INITIAL_FUNDS"
    EXCHANGE = "EXCHANGE"
    EXTEND = "EXTEND"
    CAPTURE = "CAPTURE"
    VOID = "VOID"
    EXPIRE = "EXPIRE"
    REVERSE = "REVERSE"


class Kind(StrEnum):
    """What the ledger did (rules.md, kinds and states)."""

    TRANSFER = "TRANSFER"
    INITIAL_FUNDS = "INITIAL_FUNDS"
    EXCHANGE = "EXCHANGE"
    HOLD = "HOLD"
    EXTENSION = "EXTENSION"
    CAPTURE = "CAPTURE"
    VOID = "VOID"
    EXPIRY = "EXPIRY"
    REVERSAL = "REVERSAL"


# Kinds that move money and may flow back; a reversal may not.
REVERSIBLE = frozenset({Kind.TRANSFER, Kind.INITIAL_FUNDS, Kind.EXCHANGE, Kind.CAPTURE})


class TransactionStatus(StrEnum):
    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    REVERSED = "REVERSED"


class Direction(StrEnum):
    DEBIT = "DEBIT"
    CREDIT = "CREDIT"


def valid_key(key: object) -> str:
    """`key` itself; `InvalidKey` unless it is 1 to 255 printable ASCII characters."""
    if isinstance(key, str) and 0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable():
        return key
    raise InvalidKey


class KeyScope(NamedTuple):
    """An idempotency key is one user's, for one operation: another user's same key is unrelated."""

    user: ObjectId
    operation: Operation
    key: str


class Notes(NamedTuple):
    """What the people concerned wrote beside a transaction. `metadata`: a JSON object, as its text."""

    description: str | None = None
    reference: str | None = None
    metadata: str | None = None


NO_NOTES = Notes()


class Leg(NamedTuple):
    """One movement of a transaction that has several; `number` from 1. `amount`: minor units of `currency`."""

    number: int
    from_account: ObjectId
    to_account: ObjectId
    amount: int
    currency: str


class Exchange(NamedTuple):
    """The other half of an exchange: what arrived, and the rate: units of `currency` for one of the payer's."""

    amount: int
    currency: str
    exponent: int
    rate: Decimal


@dataclass(slots=True)
class Transaction:
    """One row of the journal: money that moved, was set aside or let go. Amounts are minor units of `currency`.

    `position` is given at commit (0 until then). From `status` on: what became of it since, summed up from the
    rows that name it as their parent. `legs` is empty for an ordinary one, which is its own only leg.
    """

    id: ObjectId
    kind: Kind
    operation: Operation
    requested_by: ObjectId
    key: str
    digest: bytes
    from_account: ObjectId
    to_account: ObjectId
    amount: int
    currency: str
    exponent: int
    created_at: datetime
    position: int = 0
    notes: Notes = NO_NOTES
    legs: tuple[Leg, ...] = ()
    parent: int | None = None
    parent_id: ObjectId | None = None
    released: int | None = None
    held_after: int | None = None
    floor_after: int | None = None
    exchange: Exchange | None = None
    expires_at: datetime | None = None
    effective_at: datetime | None = None
    status: TransactionStatus = TransactionStatus.COMPLETED
    captured: int = 0
    let_go: int = 0
    reversed: int = 0
    failure_reason: str | None = None
    updated_at: datetime | None = None

    @property
    def scope(self) -> KeyScope:
        return KeyScope(self.requested_by, self.operation, self.key)

    @property
    def left(self) -> int:
        """Of a hold: what it still holds."""
        return self.amount - self.captured - self.let_go

    @property
    def reversible(self) -> int:
        return self.amount - self.reversed if self.kind in REVERSIBLE else 0


class Entry(NamedTuple):
    """One side of a transaction as one account saw it: `seq` is dense from 1 within the account."""

    account: ObjectId
    seq: int
    transaction: ObjectId
    direction: Direction
    amount: int
    balance_after: int
    effective_at: datetime | None = None
