"""Transactions as the journal has them, and what the database knows of how they went on."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from nostro.domain.books import Books, Rate
from nostro.domain.ids import ObjectId
from nostro.domain.limits import Limits
from nostro.domain.transaction import (
    NO_NOTES,
    Exchange,
    Kind,
    Leg,
    Notes,
    Operation,
    Transaction,
    TransactionStatus,
)
from nostro.store.arrays import ids_array, moment, plain_array, word_array
from nostro.store.database import Connection
from nostro.store.queries import SQL


def transaction_of(row: Any) -> Transaction:
    """From a row of the view transaction_rows."""
    return Transaction(
        id=row["id"],
        kind=Kind(row["kind"]),
        operation=Operation(row["operation"]),
        requested_by=row["requested_by"],
        key=row["idempotency_key"],
        digest=row["request_digest"],
        from_account=row["from_account"],
        to_account=row["to_account"],
        amount=row["amount"],
        currency=row["currency"],
        exponent=row["exponent"],
        created_at=row["created_at"],
        position=row["position"],
        notes=_notes_of(row),
        legs=_legs_of(row["legs"]),
        parent=row["parent"],
        parent_id=row["parent_id"],
        released=row["released"],
        held_after=row["held_after"],
        floor_after=row["floor_after"],
        exchange=_exchange_of(row),
        expires_at=row["expires_at"],
        effective_at=row["effective_at"],
        status=TransactionStatus(row["status"]),
        captured=row["captured"],
        let_go=row["let_go"],
        reversed=row["reversed"],
        failure_reason=row["failure_reason"],
        updated_at=row["updated_at"],
    )


def _notes_of(row: Any) -> Notes:
    notes = Notes(row["description"], row["reference"], row["metadata"])
    return NO_NOTES if notes == NO_NOTES else notes


def _legs_of(document: str | None) -> tuple[Leg, ...]:
    if document is None:
        return ()
    return tuple(
        Leg(number, ObjectId(bytes.fromhex(source)), ObjectId(bytes.fromhex(target)), amount, currency)
        for number, source, target, amount, currency in msgspec.json.decode(document)
    )


def _exchange_of(row: Any) -> Exchange | None:
    if row["counter_amount"] is None:
        return None
    return Exchange(row["counter_amount"], row["counter_currency"], row["counter_exponent"], row["rate"])


async def recorded(connection: Connection, positions: Sequence[int]) -> list[Transaction]:
    rows = await connection.fetch(SQL["recorded_transactions"], plain_array(positions))
    return [transaction_of(row) for row in rows]


async def read_stories(connection: Connection, parents: Sequence[ObjectId], books: Books) -> None:
    """Into `books.stories`; `legs` of a story are what is left of each."""
    for row in await connection.fetch(SQL["read_stories"], ids_array(set(parents))):
        story = transaction_of(row)
        story.legs = _legs_of(row["legs_left"])
        books.stories[story.id] = story


async def read_expired(connection: Connection, books: Books) -> None:
    """Holds that `books.now` finds expired, as stories, so that whoever asks about one finds it so."""
    holding = [account.id for account in books.accounts.values() if account.held]
    for row in await connection.fetch(SQL["expired_holds"], ids_array(holding), books.now):
        hold = books.stories.setdefault(row["id"], transaction_of(row))
        books.expired.append(hold)


async def pending_holds(connection: Connection, account: ObjectId) -> list[tuple[datetime, int]]:
    """When each hold of the account expires and what it still holds, the next to expire first."""
    rows = await connection.fetch(SQL["pending_holds"], account)
    return [(row["expires_at"], row["held"]) for row in rows]


async def accounts_with_expired_holds(connection: Connection, most: int) -> list[ObjectId]:
    return [row["account_id"] for row in await connection.fetch(SQL["accounts_with_expired_holds"], most)]


async def read_limits(connection: Connection, books: Books) -> None:
    limited = [account.id for account in books.accounts.values() if account.limited]
    if limited:
        rows = await connection.fetch(SQL["read_limits"], ids_array(limited))
        books.limits = {row["account_id"]: Limits(*row) for row in rows}


async def read_closed_books(connection: Connection, books: Books) -> None:
    rows = await connection.fetch(SQL["closed_books"])
    books.closed_until = {row["currency"]: row["closed_until"] for row in rows}


async def read_rates(connection: Connection, books: Books) -> None:
    rows = await connection.fetch(SQL["read_rates"])
    books.rates = {(row["base"], row["quote"]): Rate(row["rate"], row["maker"]) for row in rows}


async def write_details(connection: Connection, books: Books) -> None:
    """Legs and counted limits; nothing for a batch without."""
    legs = [(t.position, leg) for t in books.transactions for leg in t.legs]
    counted = list(books.counted.values())
    if not (legs or counted):
        return
    await connection.execute(
        SQL["write_details"],
        plain_array([position for position, _ in legs]),
        plain_array([leg.number for _, leg in legs]),
        ids_array([leg.from_account for _, leg in legs]),
        ids_array([leg.to_account for _, leg in legs]),
        plain_array([leg.amount for _, leg in legs]),
        word_array([leg.currency for _, leg in legs]) if legs else "{}",
        ids_array([limits.account for limits in counted]),
        _moments([limits.hour_start for limits in counted]),
        plain_array([limits.hour_count for limits in counted]),
        _moments([limits.day_start for limits in counted]),
        plain_array([limits.day_paid for limits in counted]),
        _moments([limits.month_start for limits in counted]),
        plain_array([limits.month_paid for limits in counted]),
    )


def _moments(moments: Sequence[datetime]) -> str:
    return "{" + ",".join(map(moment, moments)) + "}"
