"""Moving money, and looking up what was moved."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from nostro.domain.errors import NostroError, NotFound
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount
from nostro.domain.posting import Outcome, Posted, TransferRequest
from nostro.domain.transaction import Kind, Transaction
from nostro.domain.user import Claims
from nostro.ledger.committer import Committer
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
    ) -> Posted:
        """Move money between two accounts; raises the first refusal of errors.PRECEDENCE that applies."""
        begun = self.begin_transfer(
            claims, key=key, from_account=from_account, to_account=to_account, amount=amount
        )
        return _answer(await asyncio.shield(begun))

    def begin_transfer(
        self,
        claims: Claims,
        *,
        key: str,
        from_account: ObjectId,
        to_account: ObjectId,
        amount: Amount,
    ) -> "asyncio.Future[Outcome]":
        """The same, to be answered when it is committed: the outcome, refusals included, is returned."""
        return self.committer.enqueue(transfer_request(claims, key, from_account, to_account, amount))

    def begin_bulk(
        self, requests: Sequence[TransferRequest], *, together: bool
    ) -> "list[asyncio.Future[Outcome]]":
        """Many at once, each to be answered when it is committed; `together`: all of them or none."""
        return self.committer.enqueue_bulk(requests, together=together)

    async def initial_funds(self, claims: Claims, *, key: str, to_account: ObjectId, amount: Amount) -> Posted:
        """Bring money in, from the calling system user's settlement account in the receiver's currency."""
        async with self.database.connection() as connection:
            own = await accounts.settlement_accounts(connection, claims.user)
        digest = _request_digest(Kind.INITIAL_FUNDS, None, to_account, amount)
        request = TransferRequest(new_id(), Kind.INITIAL_FUNDS, claims, key, digest, None, to_account, amount)
        return _answer(await self.committer.submit(request, also_lock=own))

    async def by_id(self, transaction: ObjectId, viewer: ObjectId | None) -> SeenTransaction:
        """`NotFound` also when it is there but `viewer` has no part in it."""
        async with self.database.connection() as connection:
            seen = await transactions.transaction_seen_by(connection, transaction, viewer)
        if seen is None:
            raise NotFound("Transaction not found")
        return seen

    async def by_key(self, user: ObjectId, key: str) -> list[Transaction]:
        """What the user's key stands for: nothing, or the transaction of each operation it was used for."""
        async with self.database.connection() as connection:
            return await transactions.transactions_by_key(connection, user, key)

    async def page(self, own: list[ObjectId], *, limit: int, skip: int) -> tuple[list[SeenTransaction], int]:
        """Newest first, and how many there are in all."""
        async with self.database.connection() as connection:
            page = await transactions.page_of_transactions(connection, own, limit, skip)
            return page, await transactions.count_transactions(connection, own)


def transfer_request(
    claims: Claims, key: str, from_account: ObjectId, to_account: ObjectId, amount: Amount
) -> TransferRequest:
    digest = _request_digest(Kind.TRANSFER, from_account, to_account, amount)
    return TransferRequest(new_id(), Kind.TRANSFER, claims, key, digest, from_account, to_account, amount)


def _request_digest(kind: Kind, from_account: ObjectId | None, to_account: ObjectId, amount: Amount) -> bytes:
    """Of the parsed request, so that spelling does not matter: 10, "10" and 10.00 are one request."""
    said = f"{kind.value} {amount.digits}e-{amount.scale} ".encode() + (from_account or b"") + to_account
    return hashlib.blake2b(said, digest_size=16).digest()


def _answer(outcome: Posted | NostroError) -> Posted:
    if isinstance(outcome, NostroError):
        raise outcome
    return outcome
