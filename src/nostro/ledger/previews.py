"""Dry runs: how a request would be answered, by the same rules on the books as they are; nothing is written.

Nothing is locked, so that a look never holds up a transfer; by the time the request is really made, the answer
may be another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nostro.domain.account import Account
from nostro.domain.books import Books, Policy, Posted
from nostro.domain.errors import InsufficientFunds
from nostro.domain.ids import ObjectId
from nostro.domain.posting import decide
from nostro.domain.requests import Request, TransferRequest
from nostro.ledger.identity import new_id
from nostro.ledger.transfers import Transfers, answer
from nostro.store import journal, stories
from nostro.store.database import Connection, Database


@dataclass(frozen=True)
class Preview:
    """`accounts`: those that would move, as they would be afterwards."""

    posted: Posted
    accounts: Sequence[Account]


@dataclass(frozen=True)
class Previews:
    database: Database
    policy: Policy
    transfers: Transfers

    async def preview(self, request: Request) -> Preview:
        """Raises the refusal that the request would get. `InsufficientFunds` also says `largestAmount`, the
        most that would pass, and `earliestAvailableAt`, when enough holds will have expired, if they will."""
        wanted, parents = list(request.accounts), []
        if isinstance(request, TransferRequest):
            wanted += await self.transfers.in_between(request)
        else:
            parents = [request.parent]
        async with self.database.snapshot() as connection:
            accounts, not_before = await journal.read_accounts(connection, wanted, parents)
            books = await journal.read_books(connection, [request], accounts, not_before, new_id)
            outcome = decide([request], books, self.policy)[0]
            if isinstance(outcome, InsufficientFunds):
                await _say_more(connection, outcome, books)
        return Preview(answer(outcome), list(books.moved.values()))


async def _say_more(connection: Connection, refusal: InsufficientFunds, books: Books) -> None:
    required, available = refusal.facts["required"], refusal.facts["available"]
    assert isinstance(required, int)
    assert isinstance(available, int)
    refusal.facts["largestAmount"] = max(available, 0)
    for expires_at, held in await stories.pending_holds(connection, ObjectId(refusal.account)):
        available += held
        if available >= required:
            refusal.facts["earliestAvailableAt"] = max(expires_at, books.now)
            break
