"""The batch as PostgreSQL sees it: begin, lock, read, write, commit. The committer calls these in order."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from nostro.domain.account import Account, AccountStatus
from nostro.domain.ids import ObjectId
from nostro.domain.posting import Books, TransferRequest
from nostro.domain.transaction import Kind, Transaction, TransactionStatus
from nostro.domain.user import Caller, Role
from nostro.store.arrays import bytes_array, plain_array, text_array
from nostro.store.database import Connection
from nostro.store.queries import SQL


async def begin(connection: Connection) -> None:
    # READ COMMITTED: each statement sees what was committed before it, which read_facts depends on.
    await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")


async def lock_accounts(
    connection: Connection, wanted: Sequence[ObjectId]
) -> tuple[dict[ObjectId, Account], datetime | None]:
    """Lock and read the heads of `wanted`; with them the latest time any of them was moved at."""
    rows = await connection.fetch(SQL["lock_accounts"], bytes_array(wanted))
    accounts = {row["id"]: _account(row) for row in rows}
    return accounts, max((row["updated_at"] for row in rows), default=None)


def _account(row: Any) -> Account:
    return Account(
        id=row["id"],
        owner=row["owner"],
        currency=row["currency"],
        exponent=row["exponent"],
        status=AccountStatus(row["status"]),
        balance=row["balance"],
        held=row["held"],
        last_seq=row["last_seq"],
        floor=row["floor"],
        ceiling=row["ceiling"],
        settlement=row["settlement"],
    )


async def read_books(
    connection: Connection,
    batch: Sequence[TransferRequest],
    accounts: dict[ObjectId, Account],
    not_before: datetime | None,
) -> Books:
    """Everything else the batch refers to. A statement of its own, after the lock (sql/journal.sql says why).

    The books' time is the database's clock, but never before `not_before`, the last time of any account in
    them: a clock that was set back must not write an entry before the one it follows.
    """
    scopes = [request.scope for request in batch]
    rows = await connection.fetch(
        SQL["read_facts"],
        bytes_array({scope.user for scope in scopes}),
        bytes_array({request.claims.digest for request in batch}),
        bytes_array([scope.user for scope in scopes]),
        plain_array([scope.operation.value for scope in scopes]),
        text_array([scope.key for scope in scopes]),
    )
    now = rows[0]["created_at"]
    books = Books(
        now=max(now, not_before) if not_before else now,
        accounts=accounts,
        callers={},
        revoked=set(),
        recorded={},
    )
    for row in rows:
        _note(row, books)
    return books


def _note(row: Any, books: Books) -> None:
    match row["what"]:
        case "caller":
            books.callers[row["id"]] = Caller(row["id"], Role(row["role"]), row["token_epoch"])
        case "revoked":
            books.revoked.add(row["id"])
        case "recorded":
            earlier = transaction_of(row, digest=row["request_digest"])
            books.recorded[earlier.scope] = earlier


def transaction_of(row: Any, *, digest: bytes = b"") -> Transaction:
    return Transaction(
        id=row["id"],
        kind=Kind(row["kind"]),
        status=TransactionStatus.COMPLETED,
        requested_by=row["requested_by"],
        key=row["idempotency_key"],
        digest=digest,
        from_account=row["from_account"],
        to_account=row["to_account"],
        amount=row["amount"],
        currency=row["currency"],
        exponent=row["exponent"],
        created_at=row["created_at"],
        position=row["position"],
    )


async def write_batch(connection: Connection, books: Books) -> None:
    """Write what was decided: one statement for journal, heads and entries, whatever the batch's size."""
    transactions, entries, moved = books.transactions, books.entries, books.moved.values()
    nth = {transaction.id: number for number, transaction in enumerate(transactions, start=1)}
    before = await connection.fetchval(
        SQL["write_batch"],
        books.now,
        bytes_array([t.id for t in transactions]),
        plain_array([t.kind.value for t in transactions]),
        bytes_array([t.requested_by for t in transactions]),
        text_array([t.key for t in transactions]),
        bytes_array([t.digest for t in transactions]),
        bytes_array([t.from_account for t in transactions]),
        bytes_array([t.to_account for t in transactions]),
        plain_array([t.amount for t in transactions]),
        plain_array([t.currency for t in transactions]),
        bytes_array([account.id for account in moved]),
        plain_array([account.balance for account in moved]),
        plain_array([account.last_seq for account in moved]),
        bytes_array([entry.account for entry in entries]),
        plain_array([entry.seq for entry in entries]),
        plain_array([nth[entry.transaction] for entry in entries]),
        plain_array([entry.direction.value for entry in entries]),
        plain_array([entry.amount for entry in entries]),
        plain_array([entry.balance_after for entry in entries]),
    )
    for transaction in transactions:
        transaction.position = before + nth[transaction.id]


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
        SQL["append_event"], kind, actor, user, account, json.dumps(details)
    )
    return position
