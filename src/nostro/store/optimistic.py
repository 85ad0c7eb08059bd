"""The batch on its short way: heads and callers as they are, and one statement that writes while they are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import asyncpg

from nostro.domain.account import Account
from nostro.domain.books import Books
from nostro.domain.ids import ObjectId
from nostro.domain.transaction import NO_NOTES, Entry, KeyScope, Kind
from nostro.domain.user import Caller, Role
from nostro.store.arrays import (
    bytes_array,
    enum_array,
    ids_array,
    plain_array,
    sparse_array,
    text_array,
    word_array,
    words_of,
)
from nostro.store.database import Connection
from nostro.store.journal import account_of, notes_of, what_all_say
from nostro.store.queries import SQL

_STALE = "NS003"


@dataclass(slots=True)
class Head:
    """An account as it is, or will be when all that is under way is committed. `version` is that of its row as
    it was committed last, at `moved_at`; the row lies at `ctid`."""

    account: Account
    version: int
    ctid: str
    moved_at: datetime


class KnownCaller(NamedTuple):
    caller: Caller
    version: int


def is_stale(error: BaseException) -> bool:
    """Whether `write_if_unchanged` found something changed, and wrote nothing."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate == _STALE


async def read_heads(connection: Connection, wanted: Collection[ObjectId]) -> dict[ObjectId, Head]:
    """The accounts of `wanted` that there are."""
    rows = await connection.fetch(SQL["heads_as_they_are"], ids_array(wanted))
    return {row["id"]: Head(account_of(row), row["version"], row["ctid"], row["updated_at"]) for row in rows}


async def read_callers(connection: Connection, wanted: Collection[ObjectId]) -> dict[ObjectId, KnownCaller]:
    rows = await connection.fetch(SQL["callers_as_they_are"], ids_array(wanted))
    return {
        row["id"]: KnownCaller(Caller(row["id"], Role(row["role"]), row["token_epoch"]), row["version"])
        for row in rows
    }


class Basis(NamedTuple):
    """What a batch was decided on: heads and callers as they were seen, the tokens' digests, and the keys of
    requests that were refused because they stood for nothing yet."""

    heads: Mapping[ObjectId, Head]
    callers: Mapping[ObjectId, KnownCaller]
    tokens: Collection[bytes]
    refused: Sequence[KeyScope]


class Prepared(NamedTuple):
    """The one statement and its parameters, but for what the batches before it will tell: the latest time that
    any of its accounts was moved at, $1, their `versions`, $2, and where they lie, the `ctids`, $3. Those two
    are as far as is known now, in the order of the `accounts`."""

    statement: str
    parameters: list[Any]
    accounts: Mapping[ObjectId, int]
    versions: list[int]
    ctids: list[str]

    def follow(self, written: "Written") -> None:
        """A batch before it has moved some of its accounts. Few of a large batch's, and only those are looked
        at, because PostgreSQL has nothing to do meanwhile."""
        self.parameters[0] = max(self.parameters[0], written.moment)
        for account in self.accounts.keys() & written.accounts.keys():
            nth = self.accounts[account]
            self.versions[nth] = written.version
            self.ctids[nth] = written.ctids[written.accounts[account]]


class Written(NamedTuple):
    """What became known when a batch was written: its transactions follow the position `before`, all at one
    `moment`; its `accounts` are at `version` from now on, and lie at `ctids`, in their order."""

    before: int
    moment: datetime
    version: int
    ctids: Sequence[str]
    accounts: Mapping[ObjectId, int]

    def tell(self, heads: Mapping[ObjectId, Head], books: Books) -> None:
        for account, ctid in zip(self.accounts, self.ctids, strict=True):
            head = heads[account]
            head.version, head.ctid, head.moved_at = self.version, ctid, self.moment
        books.happened_at(self.moment)
        for position, transaction in enumerate(books.transactions, start=self.before + 1):
            transaction.position = position


def prepared(books: Books, basis: Basis) -> Prepared:
    """What was decided, to be written if nothing of `basis` has changed."""
    ids = sorted(basis.heads)
    if _is_one_plain_transfer(books, basis):
        statement, parameters = SQL["write_one_if_unchanged"], _parameters_of_one(books, basis, ids)
    else:
        statement, parameters = _statement_for(books), _parameters_of_many(books, basis, ids)
    heads = [basis.heads[account] for account in ids]
    return Prepared(
        statement,
        parameters,
        {account: nth for nth, account in enumerate(ids)},
        [head.version for head in heads],
        [head.ctid for head in heads],
    )


def _is_one_plain_transfer(books: Books, basis: Basis) -> bool:
    """Whether there is nothing but one transfer between two accounts that hold nothing, without notes
    (tests/unit/test_prepared_batch.py)."""
    return (
        len(books.transactions) == 1
        and len(basis.heads) == 2
        and books.transactions[0].notes == NO_NOTES
        and not (basis.refused or books.continued)
        and not any(account.held for account in books.moved.values())
    )


def _parameters_of_one(books: Books, basis: Basis, ids: Sequence[ObjectId]) -> list[Any]:
    (transaction,) = books.transactions
    debit, credit = books.entries
    first, second = books.accounts[ids[0]], books.accounts[ids[1]]
    ((caller, known),) = basis.callers.items()
    (token,) = basis.tokens
    return [
        books.now,
        None,
        None,
        *(first.id, first.balance, first.last_seq),
        *(second.id, second.balance, second.last_seq),
        *(caller, str(known.version), token),
        *(transaction.id, transaction.kind.value, transaction.operation.value),
        *(transaction.key, transaction.digest, transaction.from_account, transaction.to_account),
        *(transaction.amount, transaction.currency),
        *(debit.seq, debit.balance_after, credit.seq, credit.balance_after),
    ]


def _parameters_of_many(books: Books, basis: Basis, ids: Sequence[ObjectId]) -> list[Any]:
    transactions = books.transactions
    accounts = [books.accounts[account] for account in ids]
    callers = sorted(basis.callers)
    debited, credited = _sides(books)
    return [
        books.now,
        None,
        None,
        ids_array(ids),
        plain_array([account.balance for account in accounts]),
        plain_array([account.held for account in accounts]),
        plain_array([account.last_seq for account in accounts]),
        len(transactions),
        ids_array(callers),
        plain_array([basis.callers[caller].version for caller in callers]),
        bytes_array(basis.tokens),
        ids_array([account.id for account in accounts if account.held]),
        *what_all_say(transactions),
        sparse_array([debit and debit.seq for debit in debited]),
        sparse_array([debit and debit.balance_after for debit in debited]),
        sparse_array([credit and credit.seq for credit in credited]),
        sparse_array([credit and credit.balance_after for credit in credited]),
        sparse_array([t.held_after for t in transactions]),
        sparse_array([t.expires_at and _seconds(t.expires_at - books.now) for t in transactions]),
        *notes_of(transactions),
        ids_array([scope.user for scope in basis.refused]),
        enum_array([scope.operation for scope in basis.refused]),
        text_array([scope.key for scope in basis.refused]),
    ]


async def write_if_unchanged(connection: Connection, prepared: Prepared) -> Written:
    """Write what was decided, and commit it, if nothing that it was decided on has changed.

    Raises what the driver raises: `is_stale` tells whether something has changed.
    """
    statement, parameters, accounts, versions, ctids = prepared
    parameters[1], parameters[2] = plain_array(versions), word_array(ctids)
    before, moment, version, lying = await connection.fetchrow(statement, *parameters)
    return Written(before, moment, version, words_of(lying), accounts)


def _statement_for(books: Books) -> str:
    statement = SQL["write_if_unchanged"]
    return statement.replace("/* holds_placed */", SQL["holds_placed"]) if books.continued else statement


def _sides(books: Books) -> tuple[Sequence[Entry | None], Sequence[Entry | None]]:
    """The debit and the credit of each transaction; None for a hold, which has neither."""
    if not books.continued:
        return books.entries[0::2], books.entries[1::2]
    entries = iter(books.entries)
    pairs = [
        (None, None) if transaction.kind is Kind.HOLD else (next(entries), next(entries))
        for transaction in books.transactions
    ]
    return [debit for debit, _ in pairs], [credit for _, credit in pairs]


def _seconds(lasting: timedelta) -> int:
    """How long a hold lasts: the moment it counts from is not known before it is written."""
    return round(lasting.total_seconds())
