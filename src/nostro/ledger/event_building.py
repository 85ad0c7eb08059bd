"""From journal rows to events: the data of every type, built in one place. Pure; the rows were read before."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

from nostro.domain.event import Event, event_id, other_type, shown_time, transaction_type
from nostro.domain.ids import ObjectId, show_id
from nostro.domain.money import show_amount, show_rate
from nostro.store.events import EntryRow, HappeningRow, JournalRows, LegRow, TransactionRow

Json = dict[str, Any]
# Members of an event's details that are amounts: a number in minor units of its account's currency, or a text
# in major units.
_AMOUNTS = frozenset({"amount", "floor", "ceiling", "single", "daily", "monthly"})

Row = TypeVar("Row", EntryRow, LegRow)


def build_events(rows: JournalRows, source: str) -> Iterator[Event]:
    """One event per transaction and happening, in order of position; each is built when it is asked for."""
    entries, legs = _by_position(rows.entries), _by_position(rows.legs)
    told: list[TransactionRow | HappeningRow] = [*rows.transactions, *rows.happenings]
    for row in sorted(told, key=lambda row: row.position):
        if isinstance(row, HappeningRow):
            yield _of_happening(row, source)
        else:
            yield _of_transaction(row, entries.get(row.position, []), legs.get(row.position, []), source)


def _by_position(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.position].append(row)
    return found


@lru_cache(maxsize=65536)
def exact(minor: int, exponent: int) -> Decimal:
    """Minor units as an exact decimal in major units, without trailing zeros."""
    return Decimal(show_amount(minor, exponent))


def _of_transaction(row: TransactionRow, entries: list[EntryRow], legs: list[LegRow], source: str) -> Event:
    concerned = {row.from_account: row.from_owner, row.to_account: row.to_owner}
    for leg in legs:
        concerned |= {leg.from_account: leg.from_owner, leg.to_account: leg.to_owner}
    for entry in entries:
        concerned[entry.account_id] = entry.owner
    data: Json = {"transaction": _transaction(row), "entries": [_entry(entry) for entry in entries]}
    if row.held_after is not None:
        data["hold"] = _hold(row, entries)
    if legs:
        data["legs"] = [_leg(leg) for leg in legs]
    return Event(
        position=row.position,
        id=event_id(row.position),
        type=transaction_type(row.kind),
        time=row.created_at,
        subject=show_id(row.id),
        accounts=tuple(concerned),
        owners=tuple(concerned.values()),
        users=tuple(dict.fromkeys(concerned.values())),
        data=data,
        source=source,
    )


def _transaction(row: TransactionRow) -> Json:
    """What the row says; members that it says nothing about are left out."""
    document: Json = {
        "id": show_id(row.id),
        "kind": row.kind,
        "status": "PENDING" if row.kind == "HOLD" else "COMPLETED",
        "fromAccount": show_id(row.from_account),
        "toAccount": show_id(row.to_account),
        "amount": exact(row.amount, row.exponent),
        "currency": row.currency,
        "requestedBy": show_id(row.requested_by),
        "idempotencyKey": row.idempotency_key,
        "createdAt": shown_time(row.created_at),
    }
    if row.parent is not None:
        document["parent"] = show_id(row.parent)
    if row.released is not None:
        document["releasedAmount"] = exact(row.released, row.exponent)
    if row.counter_amount is not None and row.counter_exponent is not None:
        document["counterAmount"] = exact(row.counter_amount, row.counter_exponent)
        document["counterCurrency"] = row.counter_currency
    if row.rate is not None:
        document["rate"] = Decimal(show_rate(row.rate))
    if row.expires_at is not None:
        document["expiresAt"] = shown_time(row.expires_at)
    if row.effective_at is not None:
        document["effectiveAt"] = shown_time(row.effective_at)
    for name in ("description", "reference"):
        if (text := getattr(row, name)) is not None:
            document[name] = text
    if row.metadata is not None:
        document["metadata"] = json.loads(row.metadata, parse_float=Decimal)
    return document


def _entry(row: EntryRow) -> Json:
    return {
        "account": show_id(row.account_id),
        "seq": row.seq,
        "direction": row.direction,
        "amount": exact(row.amount, row.exponent),
        "currency": row.currency,
        "balanceAfter": exact(row.balance_after, row.exponent),
    }


def _hold(row: TransactionRow, entries: list[EntryRow]) -> Json:
    """What the payer's account held after the row, and so what it could still spend."""
    assert row.held_after is not None, "asked only of a row that changed what is held"
    own = [entry.balance_after for entry in entries if entry.account_id == row.from_account]
    balance = own[-1] if own else row.payer_balance or 0
    return {
        "account": show_id(row.from_account),
        "heldAfter": exact(row.held_after, row.exponent),
        "balanceAfter": exact(balance, row.exponent),
        "availableAfter": exact(balance - row.held_after, row.exponent),
    }


def _leg(row: LegRow) -> Json:
    return {
        "leg": row.leg,
        "fromAccount": show_id(row.from_account),
        "toAccount": show_id(row.to_account),
        "amount": exact(row.amount, row.exponent),
        "currency": row.currency,
    }


def _of_happening(row: HappeningRow, source: str) -> Event:
    accounts = () if row.account_id is None else (row.account_id,)
    owners = () if row.owner is None else (row.owner,)
    about: ObjectId | None = row.account_id or row.user_id
    data: Json = {"details": _details(row.details, row.exponent)}
    if row.user_id is not None:
        data["user"] = show_id(row.user_id)
    if row.account_id is not None:
        data |= {"account": show_id(row.account_id), "currency": row.currency}
    if row.actor is not None:
        data["actor"] = show_id(row.actor)
    concerned = [*owners, *([row.user_id] if row.user_id is not None else [])]
    return Event(
        position=row.position,
        id=event_id(row.position),
        type=other_type(row.kind),
        time=row.created_at,
        subject=show_id(about) if about is not None else "ledger",
        accounts=accounts,
        owners=owners,
        users=tuple(dict.fromkeys(concerned)),
        data=data,
        source=source,
    )


def _details(details: Json, exponent: int | None) -> Json:
    """Names as JSON has them; amounts in major units; metadata as it is."""
    return {_camel(name): _detail(name, value, exponent) for name, value in details.items()}


def _detail(name: str, value: Any, exponent: int | None) -> Any:
    if isinstance(value, dict) and name != "metadata":
        return _details(value, exponent)
    if name in _AMOUNTS and isinstance(value, int) and exponent is not None:
        return exact(value, exponent)
    if name in _AMOUNTS and isinstance(value, str):
        return Decimal(value)
    return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
