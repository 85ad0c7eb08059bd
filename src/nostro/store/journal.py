"""The batch as PostgreSQL sees it: begin, lock, read, write, commit. The committer calls these in order."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from nostro.domain.account import Account, AccountStatus
from nostro.domain.books import Books
from nostro.domain.ids import ObjectId
from nostro.domain.requests import FollowUp, Request, TransferRequest
from nostro.domain.transaction import Operation, Transaction
from nostro.domain.user import Caller, Role
from nostro.store import stories
from nostro.store.arrays import (
    bytes_array,
    enum_array,
    ids_array,
    moment,
    plain_array,
    quoted,
    sparse_array,
    text_array,
    word_array,
)
from nostro.store.database import Connection
from nostro.store.documents import encode_document
from nostro.store.queries import SQL


async def begin(connection: Connection) -> None:
    # READ COMMITTED: each statement sees what was committed before it, which read_facts depends on.
    await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")


async def lock_accounts(
    connection: Connection, wanted: Collection[ObjectId], parents: Sequence[ObjectId] = ()
) -> tuple[dict[ObjectId, Account], datetime | None]:
    """Lock and read the heads of `wanted` and of the accounts of the earlier transactions `parents`; with them
    the latest time any of them was moved at."""
    if not parents:
        return _heads(await connection.fetch(SQL["lock_accounts"], ids_array(wanted)))
    return _heads(await connection.fetch(SQL["lock_accounts_about"], ids_array(wanted), ids_array(parents)))


async def read_accounts(
    connection: Connection, wanted: Collection[ObjectId], parents: Sequence[ObjectId] = ()
) -> tuple[dict[ObjectId, Account], datetime | None]:
    """As `lock_accounts`, without the lock."""
    about = await connection.fetch(SQL["accounts_about"], ids_array(parents)) if parents else ()
    return _heads(
        await connection.fetch(SQL["read_accounts"], ids_array({*wanted, *(row["id"] for row in about)}))
    )


def _heads(rows: Sequence[Any]) -> tuple[dict[ObjectId, Account], datetime | None]:
    accounts = {row["id"]: account_of(row) for row in rows}
    return accounts, max((row["updated_at"] for row in rows), default=None)


def account_of(row: Any) -> Account:
    """The columns come in the order of the class, because there are two of these rows to every transfer."""
    account = Account(*row[:_COLUMNS])
    account.status = _STATUSES[row["status"]]
    return account


_COLUMNS = len(fields(Account))
_STATUSES = {status.value: status for status in AccountStatus}


async def read_books(
    connection: Connection,
    batch: Sequence[Request],
    accounts: dict[ObjectId, Account],
    not_before: datetime | None,
    new_id: Callable[[], ObjectId],
) -> Books:
    """Everything else the batch refers to. Statements of their own, after the lock (sql/journal.sql says why).

    The books' time is the database's clock, but never before `not_before`, the last time of any account in
    them: a clock that was set back must not write an entry before the one it follows.
    """
    scopes = [request.scope for request in batch]
    rows = await connection.fetch(
        SQL["read_facts"],
        ids_array({scope.user for scope in scopes}),
        bytes_array({request.claims.digest for request in batch}),
        ids_array([scope.user for scope in scopes]),
        enum_array([scope.operation for scope in scopes]),
        text_array([scope.key for scope in scopes]),
        ids_array([account.id for account in accounts.values() if account.held]),
        not_before,
    )
    now = rows[0]["moment"]
    books = Books(
        now=max(now, not_before) if not_before else now,
        accounts=accounts,
        callers={},
        revoked=set(),
        recorded={},
        new_id=new_id,
    )
    positions, some_expired = [], False
    for row in rows:
        match row["what"]:
            case "caller":
                books.callers[row["id"]] = Caller(row["id"], Role(row["role"]), row["token_epoch"])
            case "revoked":
                books.revoked.add(row["id"])
            case "recorded":
                positions.append(row["position"])
            case "expired":
                some_expired = True
    if positions:
        books.recorded = {t.scope: t for t in await stories.recorded(connection, positions)}
    await _read_what_few_need(connection, batch, books, some_expired)
    return books


async def _read_what_few_need(
    connection: Connection, batch: Sequence[Request], books: Books, some_expired: bool
) -> None:
    """A batch of plain transfers and holds between accounts without limits asks for none of it."""
    parents = [request.parent for request in batch if isinstance(request, FollowUp)]
    if parents:
        await stories.read_stories(connection, parents, books)
    if some_expired:
        await stories.read_expired(connection, books)
    await stories.read_limits(connection, books)
    transfers = [request for request in batch if isinstance(request, TransferRequest)]
    if any(request.terms.effective_at for request in transfers):
        await stories.read_closed_books(connection, books)
    if any(request.operation is Operation.EXCHANGE for request in transfers):
        await stories.read_rates(connection, books)


async def write_batch(connection: Connection, books: Books) -> None:
    """Write what was decided: one statement for journal, heads and entries, whatever the batch's size."""
    transactions, entries, moved = books.transactions, books.entries, books.moved.values()
    nth = {transaction.id: number for number, transaction in enumerate(transactions, start=1)}
    before = await connection.fetchval(
        SQL["write_batch"],
        books.now,
        *what_all_say(transactions),
        *_what_few_say(transactions),
        ids_array([account.id for account in moved]),
        plain_array([account.balance for account in moved]),
        plain_array([account.held for account in moved]),
        plain_array([account.last_seq for account in moved]),
        sparse_array([account.floor for account in moved]),
        ids_array([entry.account for entry in entries]),
        plain_array([entry.seq for entry in entries]),
        plain_array([nth[entry.transaction] for entry in entries]),
        enum_array([entry.direction for entry in entries]),
        plain_array([entry.amount for entry in entries]),
        plain_array([entry.balance_after for entry in entries]),
        sparse_array([entry.effective_at for entry in entries], moment),
        *_what_became_of(list(books.continued.values()), nth),
    )
    for transaction in transactions:
        transaction.position = before + nth[transaction.id]
    await stories.write_details(connection, books)


def what_all_say(transactions: Sequence[Transaction]) -> list[str]:
    """The columns that every transaction has, in the order of both statements that write them."""
    return [
        ids_array([t.id for t in transactions]),
        enum_array([t.kind for t in transactions]),
        enum_array([t.operation for t in transactions]),
        ids_array([t.requested_by for t in transactions]),
        text_array([t.key for t in transactions]),
        bytes_array([t.digest for t in transactions]),
        ids_array([t.from_account for t in transactions]),
        ids_array([t.to_account for t in transactions]),
        plain_array([t.amount for t in transactions]),
        word_array([t.currency for t in transactions]),
    ]


def notes_of(transactions: Sequence[Transaction]) -> list[str]:
    """Description, reference and metadata."""
    return [sparse_array(column, quoted) for column in zip(*[t.notes for t in transactions], strict=True)]


def _what_few_say(transactions: Sequence[Transaction]) -> list[str]:
    """The columns that a plain transfer leaves empty, in the order of write_batch."""
    exchanges = [t.exchange for t in transactions]
    return [
        sparse_array([t.parent for t in transactions]),
        sparse_array([t.released for t in transactions]),
        sparse_array([t.held_after for t in transactions]),
        sparse_array([t.floor_after for t in transactions]),
        sparse_array([exchange and exchange.amount for exchange in exchanges]),
        sparse_array([exchange and exchange.currency for exchange in exchanges], quoted),
        sparse_array([exchange and exchange.rate for exchange in exchanges]),
        sparse_array([t.expires_at for t in transactions], moment),
        sparse_array([t.effective_at for t in transactions], moment),
        *notes_of(transactions),
    ]


def _what_became_of(told: Sequence[Transaction], nth: dict[ObjectId, int]) -> list[str]:
    """The columns of summaries, empty in a batch of plain transfers: first of holds placed now, then of earlier
    transactions. Nobody can have asked for anything about a hold that was not committed."""
    if not told:
        return _NOTHING_TOLD
    placed = [t for t in told if t.id in nth]
    earlier = [t for t in told if t.id not in nth]
    return [
        plain_array([nth[t.id] for t in placed]),
        plain_array([t.amount for t in placed]),
        ids_array([t.from_account for t in placed]),
        sparse_array([t.expires_at for t in placed], moment),
        plain_array([t.position for t in earlier]),
        plain_array([t.amount for t in earlier]),
        plain_array([t.captured for t in earlier]),
        plain_array([t.let_go for t in earlier]),
        plain_array([t.reversed for t in earlier]),
        enum_array([t.status for t in earlier]),
        ids_array([t.from_account for t in earlier]),
        sparse_array([t.expires_at for t in earlier], moment),
        sparse_array([t.failure_reason for t in earlier], quoted),
    ]


_NOTHING_TOLD = ["{}"] * 13


async def commit(connection: Connection) -> None:
    await connection.execute("COMMIT")


async def rollback(connection: Connection) -> None:
    await connection.execute("ROLLBACK")


async def append_event(
    connection: Connection,
    kind: str,
    *,
    actor: ObjectId | None = None,
    user: ObjectId | None = None,
    account: ObjectId | None = None,
    **details: object,
) -> int:
    """Write an event as the last act of a transaction; returns its position in the journal."""
    position: int = await connection.fetchval(
        SQL["append_event"], kind, actor, user, account, encode_document(details).decode()
    )
    return position
