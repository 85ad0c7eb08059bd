"""Events: what the journal says happened, in the one form that every channel shows.

Mail, webhooks, stream, broker and `GET /api/events` show the same event: the same id, type, time and data. An
event is derived from immutable rows alone, so it is the same whenever it is read. docs/reference/events.md
describes each type; tests/contract/test_events.py holds that page to what is produced.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from nostro.domain.ids import ObjectId, show_id

# Of the data of all types. Members may be added under one version; nothing is taken away or changes its
# meaning.
SCHEMA_VERSION = 1

# What only mail may read: a link to a new password follows from it.
INTERNAL_TYPES = frozenset({"user.password_reset_requested"})

_TRANSACTION_TYPES = {
    "TRANSFER": "transaction.completed",
    "INITIAL_FUNDS": "transaction.completed",
    "EXCHANGE": "transaction.completed",
    "REVERSAL": "transaction.reversed",
    "HOLD": "hold.created",
    "CAPTURE": "hold.captured",
    "VOID": "hold.voided",
    "EXPIRY": "hold.expired",
    "EXTENSION": "hold.extended",
}
_OTHER_TYPES = {
    "PASSWORD_RESET_REQUESTED": "user.password_reset_requested",
    "PASSWORD_CHANGED": "user.password_changed",
    "LIMITS_CHANGED": "account.limits_changed",
}
_NOUNS_OF_TWO_WORDS = ("STANDING_ORDER",)


def transaction_type(kind: str) -> str:
    """`transaction.completed` for anything but what is known to be something else."""
    return _TRANSACTION_TYPES.get(kind, "transaction.completed")


def other_type(kind: str) -> str:
    """ACCOUNT_STATUS_CHANGED is `account.status_changed`; a kind nobody has heard of maps alike."""
    known = _OTHER_TYPES.get(kind)
    if known:
        return known
    noun = next((noun for noun in _NOUNS_OF_TWO_WORDS if kind.startswith(noun + "_")), kind.partition("_")[0])
    verb = kind[len(noun) + 1 :]
    return f"{noun}.{verb}".lower() if verb else noun.lower()


def event_id(position: int) -> str:
    """Unique within a ledger, and so, with the ledger's `source`, everywhere and for ever."""
    return f"evt_{position}"


@lru_cache(maxsize=4096)
def shown_time(when: datetime) -> str:
    """ISO 8601 in UTC with milliseconds. Remembered: everything in a batch has the same time."""
    return when.isoformat(timespec="milliseconds")[:23] + "Z"


@dataclass(frozen=True, slots=True)
class Event:
    """One journal row, told to those it concerns.

    `accounts` are those it concerns, payer first, each with its owner at the same place of `owners`. `users`
    are the people who may see it: the owners, and whoever the event is about. Amounts in `data` are exact
    decimals in major units. `source` names the ledger.
    """

    position: int
    id: str
    type: str
    time: datetime
    subject: str
    accounts: tuple[ObjectId, ...]
    owners: tuple[ObjectId, ...]
    users: tuple[ObjectId, ...]
    data: dict[str, Any]
    source: str

    def document(self, viewer: ObjectId | None) -> dict[str, Any]:
        """CloudEvents 1.0 in JSON; for a `viewer` who is a customer only what that user may know.

        None is an operator, who sees everything. JSON needs `ledger.events.encode_document`: decimals stay
        exact.
        """
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": f"io.nostro.{self.type}",
            "time": shown_time(self.time),
            "subject": self.subject,
            "datacontenttype": "application/json",
            "dataschema": schema_of(self.type),
            "position": self.position,
            "data": self.data if viewer is None else self._seen_by(viewer),
        }

    def _seen_by(self, viewer: ObjectId) -> dict[str, Any]:
        own = {
            show_id(account)
            for account, owner in zip(self.accounts, self.owners, strict=True)
            if owner == viewer
        }
        if "transaction" in self.data:
            return _transaction_seen(self.data, own, show_id(viewer))
        return _happening_seen(self.data, show_id(viewer))


def schema_of(event_type: str) -> str:
    """The name of the JSON Schema of an event's data, as CloudEvents' `dataschema`."""
    return f"urn:nostro:event:{event_type}:{SCHEMA_VERSION}"


def _transaction_seen(data: dict[str, Any], own: set[str], viewer: str) -> dict[str, Any]:
    """Balances, entries and legs of the viewer's own accounts; the request's own words only to who made it."""
    asked = data["transaction"]["requestedBy"] == viewer
    transaction = {
        name: value
        for name, value in data["transaction"].items()
        if asked or name not in {"requestedBy", "idempotencyKey"}
    }
    seen = {"transaction": transaction, "entries": _own(data["entries"], own)}
    if "hold" in data and data["hold"]["account"] in own:
        seen["hold"] = data["hold"]
    if "legs" in data:
        legs = [leg for leg in data["legs"] if asked or leg["fromAccount"] in own or leg["toAccount"] in own]
        seen["legs"] = legs
        if legs and len(legs) < len(data["legs"]):
            transaction |= _part(legs)
    return seen


def _part(legs: list[dict[str, Any]]) -> dict[str, Any]:
    """A transaction of many legs as somebody sees it who takes part in some of them only."""
    first = legs[0]
    return {
        "fromAccount": first["fromAccount"],
        "toAccount": first["toAccount"],
        "amount": sum(leg["amount"] for leg in legs if leg["currency"] == first["currency"]),
        "currency": first["currency"],
    }


def _own(rows: Iterable[dict[str, Any]], own: set[str]) -> list[dict[str, Any]]:
    return [row for row in rows if row["account"] in own]


def _happening_seen(data: dict[str, Any], viewer: str) -> dict[str, Any]:
    """Who did it and why is told to whoever did it: a customer is not told why the bank froze an account."""
    if data.get("actor") == viewer:
        return data
    details = {name: value for name, value in data["details"].items() if name != "reason"}
    return {name: value for name, value in data.items() if name != "actor"} | {"details": details}
