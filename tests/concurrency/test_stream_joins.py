"""The race: a stream opens while money moves. What it begins with and what it is told next must join exactly.

Between the state that a snapshot shows and the first event that the live end offers, positions can be lost (the
live end had already passed over them, for nobody was listening) or told twice. Both ledgers here move money all
the time; streams open, and resume, at whatever instant it happens to be.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from nostro.domain.ids import ObjectId
from nostro.ledger.service import Ledger
from nostro.ledger.streams import StreamLimits, Streams
from nostro.store.users import User
from tests.concurrency.bank import Bank, send, token_of
from tests.concurrency.reader import Reader

LIMITS = StreamLimits(per_process=1000, per_user=1000, heartbeat_s=0.05)
ROUNDS = 40


@asynccontextmanager
async def money_moving(ledgers: list[Ledger], owner: User, accounts: list[ObjectId]) -> AsyncIterator[None]:
    """Until the block ends, from both ledgers."""
    claims, going = token_of(owner), True

    async def move(ledger: Ledger) -> None:
        while going:
            source, target = random.sample(accounts, 2)
            await send(ledger, claims, source, target, "0.01")

    movers = [asyncio.create_task(move(ledger)) for ledger in ledgers for _ in range(2)]
    try:
        yield
    finally:
        going = False
        await asyncio.gather(*movers)


@pytest.mark.anyio
async def test_a_stream_joins_what_it_begins_with_and_what_follows_without_gap_or_overlap(
    rivals: tuple[Ledger, Ledger], database_url: str
) -> None:
    bank = await Bank.open(rivals[0])
    ann, bob = await bank.person(), await bank.person()
    anns, bobs = [[await bank.account(person, 1000) for _ in range(2)] for person in (ann, bob)]
    readers: list[tuple[int, Reader]] = []
    async with (
        Streams(rivals[1].database, LIMITS, rivals[1].counts, rivals[1].recent) as streams,
        truth_of(database_url) as truth,
    ):

        async def listen(person: User, after: int | None) -> Reader:
            return Reader(streams, await streams.open(token_of(person), person.id, after))

        await listen(bob, None)  # the live end moves on, and passes Ann by while she does not listen
        async with (
            money_moving([*rivals], ann, anns),
            money_moving([*rivals], bob, bobs),  # so that not every position is Ann's
        ):
            for number in range(ROUNDS):
                head = await truth.fetchval("SELECT position FROM journal_head")
                after = None if number % 2 else max(0, head - 30)
                reader = await listen(ann, after)
                await reader.until(head + 1)
                await reader.leave()
                readers.append((reader.begun if after is None else after, reader))
        await _compare(truth, ann, readers)


async def _compare(truth: Any, owner: User, readers: list[tuple[int, Reader]]) -> None:
    """With what the tables say was to be told between where each began and where it was told to be complete."""
    entries = await truth.fetch(
        "SELECT DISTINCT e.position FROM entries e JOIN accounts a ON a.id = e.account_id "
        "WHERE a.owner = $1 ORDER BY 1",
        owner.id,
    )
    for begun, reader in readers:
        until = max(reader.complete_until, *reader.told, begun)
        assert reader.told == [row["position"] for row in entries if begun < row["position"] <= until]
        for account in reader.accounts:
            assert account.balance == await truth.fetchval(
                "SELECT balance_after FROM entries WHERE account_id = $1 AND position <= $2 "
                "ORDER BY seq DESC LIMIT 1",
                account.id,
                begun,
            )


@asynccontextmanager
async def truth_of(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()
