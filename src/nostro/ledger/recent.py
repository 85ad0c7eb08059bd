"""What this process has just committed, for those in it who follow the journal: they need not read it again.

Only plain transfers and initial funds are kept, as the rows that the store would read at their positions; for
anything else the journal is asked. Nothing comes here before it is committed
(tests/concurrency/test_recent.py).
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection
from typing import NamedTuple

from nostro.domain.books import Books
from nostro.domain.ids import ObjectId
from nostro.domain.transaction import Entry, Kind, Transaction
from nostro.store.events import EntryRow, TransactionRow

# Far less than a failover takes: after one, nothing is remembered that the new primary does not have.
KEPT_FOR_S = 2.0
# About a kilobyte each.
MOST_KEPT = 5000
_PLAIN = frozenset({Kind.TRANSFER, Kind.INITIAL_FUNDS})


class Committed(NamedTuple):
    """A transaction of two entries and nothing unusual, and who owns its accounts."""

    transaction: Transaction
    debit: Entry
    credit: Entry
    payer: ObjectId
    payee: ObjectId

    def row(self) -> TransactionRow:
        told = self.transaction
        return TransactionRow(
            position=told.position,
            created_at=told.created_at,
            kind=told.kind.value,
            id=told.id,
            requested_by=told.requested_by,
            idempotency_key=told.key,
            amount=told.amount,
            currency=told.currency,
            exponent=told.exponent,
            from_account=told.from_account,
            to_account=told.to_account,
            from_owner=self.payer,
            to_owner=self.payee,
            description=told.notes.description,
            reference=told.notes.reference,
        )

    def entries(self) -> tuple[EntryRow, EntryRow]:
        return self._entry(self.debit, self.payer), self._entry(self.credit, self.payee)

    def _entry(self, entry: Entry, owner: ObjectId) -> EntryRow:
        return EntryRow(
            position=self.transaction.position,
            account_id=entry.account,
            owner=owner,
            seq=entry.seq,
            direction=entry.direction.value,
            amount=entry.amount,
            balance_after=entry.balance_after,
            currency=self.transaction.currency,
            exponent=self.transaction.exponent,
        )


class Recent:
    """What was committed in the last seconds, as long as somebody asks for it; `clock` tells seconds.

    `committed`: how many transactions there ever were.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_at = float("-inf")
        self._newest = 0
        self.committed = 0
        self._kept: dict[int, Committed] = {}
        self._batches: deque[tuple[float, list[int]]] = deque()

    def add(self, books: Books) -> None:
        """The books of a batch that is committed."""
        if not books.transactions:
            return
        now = self._clock()
        self._newest = books.transactions[-1].position
        self.committed += len(books.transactions)
        if self._asked_at < now - KEPT_FOR_S:
            self._forget_until(now)
            return
        sides: dict[ObjectId, list[Entry]] = defaultdict(list)
        for entry in books.entries:
            sides[entry.transaction].append(entry)
        added: dict[int, Committed] = {}
        for one in books.transactions:
            if _is_plain(one):
                debit, credit = sides[one.id]
                payer, payee = books.accounts[one.from_account], books.accounts[one.to_account]
                added[one.position] = Committed(one, debit, credit, payer.owner, payee.owner)
        self._kept |= added
        self._batches.append((now, list(added)))
        self._forget_until(now - KEPT_FOR_S)

    def at(self, positions: Collection[int]) -> tuple[list[Committed], list[int]]:
        """What is kept of those positions, and the positions that are not. Whoever is so far behind that
        nothing of what comes now will be kept for them has not asked for it to be."""
        now = self._clock()
        if max(positions, default=self._newest) > self._newest - MOST_KEPT:
            self._asked_at = now
        self._forget_until(now - KEPT_FOR_S)
        kept: list[Committed] = []
        missing: list[int] = []
        for position in positions:
            found = self._kept.get(position)
            if found is None:
                missing.append(position)
            else:
                kept.append(found)
        return kept, missing

    def _forget_until(self, moment: float) -> None:
        while self._batches and (self._batches[0][0] <= moment or len(self._kept) > MOST_KEPT):
            for position in self._batches.popleft()[1]:
                self._kept.pop(position, None)


def _is_plain(transaction: Transaction) -> bool:
    """Whether its row and two entries are all there is, in the words of the request."""
    return (
        transaction.kind in _PLAIN
        and transaction.effective_at is None
        and transaction.notes.metadata is None  # the database writes it in its own way
        and not transaction.legs
    )
