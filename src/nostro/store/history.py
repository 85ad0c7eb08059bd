"""An account's history as rows: stretches of its entries, its balance at a moment, its course over a period."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from nostro.domain.history import Filters, Stretch
from nostro.domain.ids import ObjectId
from nostro.domain.money import Currency
from nostro.domain.transaction import Direction, Kind, TransactionStatus
from nostro.store.database import Connection
from nostro.store.queries import SQL

_NEWEST_FIRST = SQL["entries_page"]
_OLDEST_FIRST = _NEWEST_FIRST.replace("seq DESC", "seq")


class Span(NamedTuple):
    """An account and the stretch of its entries recorded in a period; `now` is the database's clock."""

    account: ObjectId
    owner: ObjectId
    owner_name: str
    name: str | None
    currency: Currency
    now: datetime
    stretch: Stretch


class EntryRow(NamedTuple):
    """One line of a history. `amount` and `balance_after` are minor units; `metadata` is JSON as text."""

    seq: int
    position: int
    amount: int
    balance_after: int
    created_at: datetime
    effective_at: datetime | None
    direction: Direction
    transaction: ObjectId
    kind: Kind
    status: TransactionStatus
    description: str | None
    reference: str | None
    metadata: str | None
    counterparty: ObjectId
    counterparty_name: str


class BalanceAt(NamedTuple):
    """`balance`, in minor units, held at `effective_at`, as far as was known at `known_at`."""

    account: ObjectId
    currency: Currency
    balance: int
    effective_at: datetime
    known_at: datetime


class StepRow(NamedTuple):
    """What an account went through from `since` up to `until`; amounts in minor units."""

    since: datetime
    until: datetime
    opening: int
    closing: int
    credits: int
    debits: int
    lowest: int
    highest: int
    entries: int


async def account_span(
    connection: Connection,
    account: ObjectId,
    viewer: ObjectId | None,
    since: datetime | None,
    until: datetime | None,
) -> Span | None:
    """None when there is no such account, or it is not the viewer's (None: whoever looks may see it)."""
    row = await connection.fetchrow(SQL["account_span"], account, viewer, since, until)
    if row is None:
        return None
    return Span(
        account=row["id"],
        owner=row["owner"],
        owner_name=row["owner_name"],
        name=row["name"],
        currency=Currency(row["currency"], row["exponent"]),
        now=row["now"],
        stretch=Stretch(row["before_since"] + 1, row["before_until"]),
    )


async def entries_page(
    connection: Connection,
    span: Span,
    stretch: Stretch,
    filters: Filters,
    *,
    limit: int,
    newest_first: bool,
) -> list[EntryRow]:
    """What the filters keep of the stretch (times aside, which the stretch stands for)."""
    rows = await connection.fetch(
        _NEWEST_FIRST if newest_first else _OLDEST_FIRST,
        span.account,
        *stretch,
        limit,
        filters.direction and filters.direction.value,
        filters.counterparty,
        filters.least and filters.least.at_least(span.currency.exponent),
        filters.most and filters.most.at_most(span.currency.exponent),
        filters.kind and filters.kind.value,
        filters.status and filters.status.value,
        filters.reference,
        filters.text,
        filters.metadata,
    )
    return [_entry(row) for row in rows]


def _entry(row: Any) -> EntryRow:
    return EntryRow(
        seq=row["seq"],
        position=row["position"],
        amount=row["amount"],
        balance_after=row["balance_after"],
        created_at=row["created_at"],
        effective_at=row["effective_at"],
        direction=Direction(row["direction"]),
        transaction=row["transaction_id"],
        kind=Kind(row["kind"]),
        status=TransactionStatus(row["status"]),
        description=row["description"],
        reference=row["reference"],
        metadata=row["metadata"],
        counterparty=row["counterparty"],
        counterparty_name=row["counterparty_name"],
    )


async def balance_at(
    connection: Connection,
    account: ObjectId,
    viewer: ObjectId | None,
    effective_at: datetime | None,
    known_at: datetime | None,
) -> BalanceAt | None:
    row = await connection.fetchrow(SQL["balance_at"], account, effective_at, known_at, viewer)
    if row is None:
        return None
    currency = Currency(row["currency"], row["exponent"])
    return BalanceAt(row["id"], currency, row["balance"], row["effective_at"], row["known_at"])


async def series_of(connection: Connection, account: ObjectId, moments: Sequence[datetime]) -> list[StepRow]:
    rows = await connection.fetch(SQL["series_of"], account, moments)
    return [StepRow(*row) for row in rows]


async def balances_around(connection: Connection, account: ObjectId, stretch: Stretch) -> tuple[int, int]:
    """What the account had before the stretch, and after it."""
    row = await connection.fetchrow(SQL["balances_around"], account, *stretch)
    return row["opening"], row["closing"]
