"""The journal by position, as followers and readers of events need it: a few statements for any number of
rows."""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from nostro.domain.ids import ObjectId
from nostro.store.database import Connection
from nostro.store.queries import SQL


class JournalHead(NamedTuple):
    """The last position given out, and which ledger this is."""

    position: int
    ledger: UUID


class TransactionRow(NamedTuple):
    """A transaction as its journal row tells it. Amounts are minor units.

    `payer_balance` is the payer's balance then, where there is no entry to tell it; None if there was none yet.
    """

    position: int
    created_at: datetime
    kind: str
    id: ObjectId
    requested_by: ObjectId
    idempotency_key: str
    amount: int
    currency: str
    exponent: int
    from_account: ObjectId
    to_account: ObjectId
    from_owner: ObjectId
    to_owner: ObjectId
    parent: ObjectId | None = None
    released: int | None = None
    held_after: int | None = None
    counter_amount: int | None = None
    counter_currency: str | None = None
    counter_exponent: int | None = None
    rate: Decimal | None = None
    expires_at: datetime | None = None
    effective_at: datetime | None = None
    description: str | None = None
    reference: str | None = None
    metadata: str | None = None
    payer_balance: int | None = None


class EntryRow(NamedTuple):
    position: int
    account_id: ObjectId
    owner: ObjectId
    seq: int
    direction: str
    amount: int
    balance_after: int
    currency: str
    exponent: int


class LegRow(NamedTuple):
    position: int
    leg: int
    from_account: ObjectId
    to_account: ObjectId
    amount: int
    currency: str
    exponent: int
    from_owner: ObjectId
    to_owner: ObjectId


class HappeningRow(NamedTuple):
    """Anything but money: `owner`, `currency` and `exponent` are those of the account, if it is about one."""

    position: int
    created_at: datetime
    kind: str
    actor: ObjectId | None
    user_id: ObjectId | None
    account_id: ObjectId | None
    owner: ObjectId | None
    currency: str | None
    exponent: int | None
    details: dict[str, Any]


class JournalRows(NamedTuple):
    """Everything at the positions that were asked for; in no order but that of the statements."""

    transactions: list[TransactionRow]
    entries: list[EntryRow]
    legs: list[LegRow]
    happenings: list[HappeningRow]


async def journal_head(connection: Connection) -> JournalHead:
    return JournalHead(*await connection.fetchrow(SQL["journal_head"]))


async def journal_rows(connection: Connection, positions: Sequence[int]) -> JournalRows:
    """The rows at `positions`, each once and at most the head's: those are all committed.

    A position is of a transaction or of a happening; what one kind has not, is not asked for.
    """
    if not positions:
        return JournalRows([], [], [], [])
    transactions = [TransactionRow(*row) for row in await connection.fetch(SQL["transactions_at"], positions)]
    entries, legs, happenings = [], [], []
    if transactions:
        entries = [EntryRow(*row) for row in await connection.fetch(SQL["entries_at"], positions)]
        legs = [LegRow(*row) for row in await connection.fetch(SQL["legs_at"], positions)]
    if len(transactions) < len(positions):
        happenings = [_happening(row) for row in await connection.fetch(SQL["other_events_at"], positions)]
    return JournalRows(transactions, entries, legs, happenings)


def _happening(row: Any) -> HappeningRow:
    told = HappeningRow(*row)
    return told._replace(details=json.loads(row["details"], parse_float=Decimal))


async def summarize_entries(connection: Connection) -> None:
    """Keep `journal_rows` quick near the journal's end: to be called whenever that has moved a good way."""
    await connection.execute(SQL["summarize_entries"])


async def positions_of_user(connection: Connection, user: ObjectId, after: int, limit: int) -> list[int]:
    """The first `limit` positions after `after` that concern the user, in order."""
    return [row["position"] for row in await connection.fetch(SQL["positions_of_user"], user, after, limit)]
