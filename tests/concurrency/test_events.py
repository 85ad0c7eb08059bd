"""Reading events while many write: who sees a position sees every one before it, and nothing fills up later."""

import asyncio

import pytest

from nostro.domain.event import Event
from nostro.ledger.events import events_after, journal_position
from nostro.ledger.service import Ledger
from nostro.store import journal
from tests.concurrency.bank import Bank, send, token_of

pytestmark = pytest.mark.anyio


async def test_a_reader_misses_nothing_that_commits_around_it(ledger: Ledger) -> None:
    bank = await Bank.open(ledger)
    ann = await bank.person()
    accounts = [await bank.account(ann, 1000) for _ in range(4)]
    ending = asyncio.Event()

    async def move(source: int, target: int) -> None:
        for _ in range(60):
            await send(ledger, token_of(ann), accounts[source], accounts[target], "1")

    async def happen() -> None:
        """A writer that dawdles between its position and its commit."""
        for _ in range(30):
            async with ledger.database.transaction() as connection:
                await journal.append_event(connection, "SOMETHING_HAPPENED")
                await asyncio.sleep(0.005)

    async def read(batch: int) -> list[Event]:
        seen: list[Event] = []
        while True:
            over = ending.is_set()
            async with ledger.database.background() as connection:
                more = await events_after(connection, len(seen), batch)
            assert [event.position for event in more] == list(range(len(seen) + 1, len(seen) + len(more) + 1))
            seen += more
            if over and not more:
                return seen
            await asyncio.sleep(0)

    reading = [asyncio.create_task(read(batch)) for batch in (1, 7, 500)]
    await asyncio.gather(move(0, 1), move(1, 2), move(2, 3), move(3, 0), happen(), happen())
    ending.set()
    one, *others = [await task for task in reading]
    async with ledger.database.background() as connection:
        assert len(one) == await journal_position(connection)
    assert all(other == one for other in others)
    assert {len(event.data["entries"]) for event in one if "entries" in event.data} == {2}
