"""What is done about an earlier transaction: capture, void or extend a hold, reverse a movement."""

from dataclasses import dataclass

from nostro.domain.books import Posted
from nostro.domain.errors import NotFound
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount
from nostro.domain.requests import FollowUp
from nostro.domain.transaction import NO_NOTES, Notes, Operation
from nostro.domain.user import Claims
from nostro.ledger.committer import Committer
from nostro.ledger.digests import follow_up_digest
from nostro.ledger.identity import new_id
from nostro.ledger.transfers import answer
from nostro.store import transactions
from nostro.store.database import Database


@dataclass(frozen=True)
class FollowUps:
    database: Database
    committer: Committer

    async def prepare(
        self,
        operation: Operation,
        claims: Claims,
        parent: ObjectId,
        *,
        key: str | None = None,
        amount: Amount | None = None,
        final: bool = False,
        expires_in_s: int = 0,
        force: bool = False,
        notes: Notes = NO_NOTES,
    ) -> FollowUp:
        """The request, with the accounts that its decision has to lock. Without a key it is one of a kind.

        Raises `NotFound` when there is no transaction `parent`.
        """
        async with self.database.lookup() as connection:
            accounts = await transactions.accounts_of_transaction(connection, parent)
        if not accounts:
            raise NotFound("Transaction not found")
        own = new_id()
        request = FollowUp(
            id=own,
            operation=operation,
            claims=claims,
            key=key if key is not None else f"unnamed {own.hex()}",
            digest=b"",
            parent=parent,
            accounts=accounts,
            amount=amount,
            final=final,
            expires_in_s=expires_in_s,
            force=force,
            notes=notes,
        )
        request.digest = follow_up_digest(request)
        return request

    async def ask(self, request: FollowUp) -> Posted:
        """Answered when it is committed; raises the first refusal of errors.PRECEDENCE that applies."""
        return answer(await self.committer.submit(request))
