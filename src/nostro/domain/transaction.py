"""What is written down: a transaction, which is one journal row, and its immutable entries."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from nostro.domain.errors import InvalidKey
from nostro.domain.ids import ObjectId

_KEY = re.compile(r"[\x20-\x7e]{1,255}")


class Kind(Enum):
    TRANSFER = "TRANSFER"
    INITIAL_FUNDS = "INITIAL_FUNDS"


class TransactionStatus(Enum):
    COMPLETED = "COMPLETED"


class Direction(Enum):
    DEBIT = "DEBIT"
    CREDIT = "CREDIT"


def valid_key(key: object) -> str:
    """`key` itself; `InvalidKey` unless it is 1 to 255 printable ASCII characters."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise InvalidKey
    return key


class KeyScope(NamedTuple):
    """An idempotency key is one user's, for one operation: another user's same key is unrelated."""

    user: ObjectId
    operation: Kind
    key: str


@dataclass(slots=True)
class Transaction:
    """Money that moved. `amount` is in minor units; `position` is given at commit (0 until then)."""

    id: ObjectId
    kind: Kind
    status: TransactionStatus
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

    @property
    def scope(self) -> KeyScope:
        return KeyScope(self.requested_by, self.kind, self.key)


class Entry(NamedTuple):
    """One side of a transaction as one account saw it: `seq` is dense from 1 within the account."""

    account: ObjectId
    seq: int
    transaction: ObjectId
    direction: Direction
    amount: int
    balance_after: int
