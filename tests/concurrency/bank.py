"""People with money in a ledger of this process, without HTTP between: for races that a test must steer."""

import itertools
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from nostro.domain.books import Posted
from nostro.domain.errors import NostroError
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount, Currency, parse_amount
from nostro.domain.user import Claims, Role
from nostro.ledger.attempts import Attempts
from nostro.ledger.service import Ledger
from nostro.store import optimistic
from nostro.store.users import User

RUPEES = Currency("INR", 2)
_numbers = itertools.count(1)


def fresh_key() -> str:
    return f"key-{next(_numbers)}-{secrets.token_hex(4)}"


def token_of(user: User) -> Claims:
    """What a token of `user`, minted now, would say."""
    now = time.time()
    return Claims(user.id, secrets.token_bytes(32), float(int(now)), now + 3600)


@dataclass
class Bank:
    """One system user who brings the money in, and as many people as a test asks for."""

    ledger: Ledger
    system: User

    @classmethod
    async def open(cls, ledger: Ledger) -> "Bank":
        email = f"system-{next(_numbers)}@example.com"
        return cls(ledger, await ledger.users.register(email, "a system secret", "System", Role.SYSTEM))

    async def person(self) -> User:
        email = f"person-{next(_numbers)}@example.com"
        return await self.ledger.users.register(email, "correct horse", "Ann")

    async def account(self, owner: User, rupees: int = 0) -> ObjectId:
        account = (await self.ledger.accounts.open(owner, RUPEES, None)).id
        if rupees:
            await self.fund(account, rupees)
        return account

    async def fund(self, account: ObjectId, rupees: int) -> Posted:
        return await self.ledger.transfers.initial_funds(
            token_of(self.system), key=fresh_key(), to_account=account, amount=Amount(rupees, 0)
        )

    async def balance(self, account: ObjectId) -> int:
        return (await self.ledger.accounts.by_id(account)).balance


async def send(  # noqa: PLR0917 - as one says it: who, from where, to where, how much
    ledger: Ledger,
    claims: Claims,
    source: ObjectId,
    target: ObjectId,
    rupees: str,
    key: str | None = None,
) -> Posted | NostroError:
    """The transfer's outcome; a refusal is returned like any other answer."""
    try:
        return await ledger.transfers.transfer(
            claims,
            key=key or fresh_key(),
            from_account=source,
            to_account=target,
            amount=parse_amount(rupees),
        )
    except NostroError as refusal:
        return refusal


def as_a_batch_of_one(patch: pytest.MonkeyPatch) -> None:
    """From now on a transfer that comes alone is written in the form for many (store/optimistic.py)."""
    patch.setattr(optimistic, "_is_one_plain_transfer", lambda *_: False)


def under_the_lock(*ledgers: Ledger) -> None:
    """From now on they lock first and read then, as every batch does that the short way cannot take."""
    for ledger in ledgers:
        ledger.transfers.committer.optimistic = False


def ways_gone(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ways of every batch from now on, in order."""
    gone: list[str] = []

    def noted(way: str, go: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def note_and_go(*arguments: Any) -> Any:
            gone.append(way)
            return await go(*arguments)

        return note_and_go

    for way in ("if_unchanged", "under_lock"):
        monkeypatch.setattr(Attempts, way, noted(way, getattr(Attempts, way)))
    return gone


def codes(outcomes: Iterable[Posted | NostroError]) -> Counter[str]:
    """How often each answer was given: posted, replayed, or the code of a refusal."""
    return Counter(
        outcome.code if isinstance(outcome, NostroError) else "replayed" if outcome.replayed else "posted"
        for outcome in outcomes
    )
