"""What one e-mail has to tell, as it is kept in the outbox until it is sent: facts, not sentences.

Amounts are integers in minor units with the places of their currency, so that whoever writes them out for a
reader needs nothing else. Nothing secret is among them: a reset link is made when its mail is.
"""

from datetime import date, datetime
from typing import Any

import msgspec

from nostro.domain.mail import MailKind


class Money(msgspec.Struct, frozen=True):
    """`minor` units of `currency`, which has `exponent` decimal places."""

    minor: int
    currency: str
    exponent: int


class Side(msgspec.Struct, frozen=True):
    """An account as the reader may know it: its id, its name if the reader gave it one, its owner's name."""

    account: str
    owner: str
    name: str = ""


class Notice(msgspec.Struct, frozen=True, tag="notice"):
    """Something about the reader alone: a welcome, a new password."""

    time: datetime


class Movement(msgspec.Struct, frozen=True, tag="movement"):
    """Money that moved, came back, or in the end did not move; as `own`, the reader's account, saw it.

    `incoming`: towards `own`. `balance` is that of `own` right after the event; None where it did not change.
    """

    time: datetime
    incoming: bool
    amount: Money
    own: Side
    others: tuple[Side, ...]
    transaction: str
    balance: Money | None = None
    description: str = ""
    reference: str = ""
    reason: str = ""
    reversed: str = ""
    rate: str = ""


class Statement(msgspec.Struct, frozen=True, tag="statement"):
    """A statement of `own` that can be fetched; the first and the last day of its period."""

    time: datetime
    own: Side
    since: date
    until: date


Facts = Notice | Movement | Statement


class Letter(msgspec.Struct, frozen=True):
    """One e-mail to one reader (`user`: their id as 24 hex digits), as the outbox keeps it."""

    kind: MailKind
    user: str
    facts: Facts


def packed(letter: Letter) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(letter)
    return document


def unpacked(document: dict[str, Any]) -> Letter:
    return msgspec.convert(document, Letter)
