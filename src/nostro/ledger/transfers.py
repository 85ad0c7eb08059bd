"""Moving money: transfers, initial funds, exchanges and holds; and looking up what was moved."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from nostro.domain.books import Outcome, Posted
from nostro.domain.errors import NostroError, NotFound
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount
from nostro.domain.requests import PLAIN, Request, Terms, TransferRequest
from nostro.domain.transaction import Operation, Transaction
from nostro.domain.user import Claims
from nostro.ledger.committer import Committer
from nostro.ledger.digests import transfer_digest
from nostro.ledger.identity import new_id
from nostro.store import accounts, transactions
from nostro.store.database import Database
from nostro.store.transactions import SeenTransaction


@dataclass(frozen=True)
class Transfers:
    database: Database
    committer: Committer

    async def transfer(
        self,
        claims: Claims,
        *,
        key: str,
        from_account: ObjectId,
        to_account: ObjectId,
        amount: Amount,
        terms: Terms = PLAIN,
    ) -> Posted:
        """Move money, or set it aside; raises the first refusal of errors.PRECEDENCE that applies."""
        request = transfer_request(claims, key, from_account, to_account, amount, terms=terms)
        return answer(await asyncio.shield(self.begin(request)))

    def begin(self, request: TransferRequest) -> "asyncio.Future[Outcome]":
        """A transfer between the accounts it names, to be answered when it is committed: the outcome, refusals
        included, is returned."""
        return self.committer.enqueue(request)

    def begin_bulk(self, requests: Sequence[Request], *, together: bool) -> "asyncio.Future[list[Outcome]]":
        """Many at once, to be answered when the last one is committed; `together`: all of them or none."""
        return self.committer.enqueue_bulk(requests, together=together)

    async def initial_funds(
        self, claims: Claims, *, key: str, to_account: ObjectId, amount: Amount, terms: Terms = PLAIN
    ) -> Posted:
        """Bring money in, from the calling system user's settlement account in the receiver's currency."""
        operation = Operation.INITIAL_FUNDS
        return await self.ask(
            transfer_request(claims, key, None, to_account, amount, operation=operation, terms=terms)
        )

    async def ask(self, request: TransferRequest) -> Posted:
        """Any transfer, answered when it is committed; raises the first refusal that applies."""
        return answer(await self.committer.submit(request, also_lock=await self.in_between(request)))

    async def in_between(self, request: TransferRequest) -> Sequence[ObjectId]:
        """The settlement accounts that money may come from or pass through beside those the request names."""
        if request.operation is Operation.TRANSFER:
            return ()
        async with self.database.connection() as connection:
            if request.operation is Operation.INITIAL_FUNDS:
                return await accounts.settlement_accounts(connection, request.claims.user)
            return await accounts.exchanging_accounts(connection)

    async def by_id(self, transaction: ObjectId, viewer: ObjectId | None) -> SeenTransaction:
        """`NotFound` also when it is there but `viewer` has no part in it."""
        async with self.database.connection() as connection:
            seen = await transactions.transaction_seen_by(connection, transaction, viewer)
        if seen is None:
            raise NotFound("Transaction not found")
        return seen

    async def about(self, transaction: Transaction) -> list[Transaction]:
        """What became of it: its captures, voids, reversals … in order."""
        async with self.database.connection() as connection:
            return await transactions.transactions_about(connection, transaction.position)

    async def by_key(self, user: ObjectId, key: str) -> list[Transaction]:
        """What the user's key stands for: nothing, or the transaction of each operation it was used for."""
        async with self.database.connection() as connection:
            return await transactions.transactions_by_key(connection, user, key)


def transfer_request(
    claims: Claims,
    key: str,
    from_account: ObjectId | None,
    to_account: ObjectId,
    amount: Amount,
    *,
    operation: Operation = Operation.TRANSFER,
    terms: Terms = PLAIN,
) -> TransferRequest:
    digest = transfer_digest(operation, from_account, to_account, amount, terms)
    return TransferRequest(new_id(), operation, claims, key, digest, from_account, to_account, amount, terms)


def answer(outcome: Posted | NostroError) -> Posted:
    if isinstance(outcome, NostroError):
        raise outcome
    return outcome
