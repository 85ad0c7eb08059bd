"""What is done about an earlier transaction: capture, void or extend a hold, reverse a movement."""

import asyncio
from dataclasses import dataclass

from nostro.domain.books import Outcome, Posted
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount
from nostro.domain.requests import FollowUp
from nostro.domain.transaction import NO_NOTES, Notes, Operation
from nostro.domain.user import Claims
from nostro.ledger.committer import Committer
from nostro.ledger.digests import follow_up_digest
from nostro.ledger.identity import new_id
from nostro.ledger.transfers import answer


@dataclass(frozen=True)
class FollowUps:
    committer: Committer

    def begin(self, request: FollowUp) -> "asyncio.Future[Outcome]":
        """To be answered when it is committed: the outcome, refusals included, is returned."""
        return self.committer.enqueue(request)

    async def ask(self, request: FollowUp) -> Posted:
        """Answered when it is committed; raises the first refusal of errors.PRECEDENCE that applies."""
        return answer(await asyncio.shield(self.begin(request)))


def follow_up_request(
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
    """Without a key the request is one of a kind."""
    own = new_id()
    request = FollowUp(
        id=own,
        operation=operation,
        claims=claims,
        key=key if key is not None else f"unnamed {own.hex()}",
        digest=b"",
        parent=parent,
        amount=amount,
        final=final,
        expires_in_s=expires_in_s,
        force=force,
        notes=notes,
    )
    request.digest = follow_up_digest(request)
    return request
