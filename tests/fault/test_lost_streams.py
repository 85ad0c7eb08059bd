"""The database goes away while somebody listens: nothing is told that is not known, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from nostro.domain.errors import DatabaseUnavailable
from nostro.domain.ids import ObjectId
from nostro.ledger.service import Ledger, open_ledger
from nostro.ledger.streams import UNAVAILABLE, StreamLimits, Streams
from nostro.ledger.tail import FAILED
from nostro.store.users import User
from tests.concurrency.bank import RUPEES, Bank, send, token_of
from tests.concurrency.reader import Reader
from tests.fault.proxy import Proxy

HEARTBEAT_S = 0.05


@dataclass
class Scene:
    """Ann's streams see the database by proxy; her money moves past it."""

    proxy: Proxy
    ledger: Ledger
    streams: Streams
    ann: User
    accounts: list[ObjectId]

    async def listen(self, after: int | None = None) -> Reader:
        return Reader(self.streams, await self.streams.open(token_of(self.ann), self.ann.id, after))

    async def pay(self) -> int:
        """The position of a transfer from now."""
        posted = await send(self.ledger, token_of(self.ann), *self.accounts, "0.01")
        assert not isinstance(posted, Exception)
        return posted.transaction.position

    async def lose_the_database(self) -> None:
        self.proxy.go_away()
        await self.database_is(seen=False)

    async def database_is(self, *, seen: bool) -> None:
        while True:
            if self.streams.tail.is_current is seen:
                return
            await asyncio.sleep(0.01)


@pytest.fixture
async def scene(database_url: str, ledger: Ledger) -> AsyncIterator[Scene]:
    bank = await Bank.open(ledger)
    ann = await bank.person()
    accounts = [await bank.account(ann, 100), await bank.account(ann)]
    limits = StreamLimits(per_process=2, per_user=2, heartbeat_s=HEARTBEAT_S)
    async with (
        Proxy(database_url).open() as proxy,
        open_ledger(proxy.url, house_currency=RUPEES) as by_proxy,
        Streams(by_proxy.database, limits, by_proxy.counts, by_proxy.recent) as streams,
    ):
        yield Scene(proxy, ledger, streams, ann, accounts)
        proxy.heal()


@pytest.mark.anyio
async def test_a_stream_outlives_the_database_and_tells_what_it_could_not_see_meanwhile(scene: Scene) -> None:
    reader = await scene.listen()
    await reader.until(await scene.pay())
    await scene.lose_the_database()
    beats, missed = reader.beats, [await scene.pay() for _ in range(3)]
    await asyncio.sleep(10 * HEARTBEAT_S)
    assert reader.beats <= beats + 1, "no heartbeat says that nothing was missed"
    assert not set(missed) & set(reader.told)
    scene.proxy.heal()
    await reader.until(missed[-1])
    assert reader.told[-3:] == missed
    await reader.leave()


@pytest.mark.anyio
async def test_a_stream_that_cannot_be_opened_leaves_nothing_open(scene: Scene) -> None:
    reader = await scene.listen()
    await scene.lose_the_database()
    for after in (None, 1, None, 1):
        with pytest.raises(DatabaseUnavailable):
            await scene.listen(after)
    scene.proxy.heal()
    await scene.database_is(seen=True)
    another = await scene.listen()  # there is room for two
    await another.leave()
    await reader.leave()


@pytest.mark.anyio
async def test_an_event_that_cannot_be_told_ends_the_streams_there_are_and_no_later_ones(scene: Scene) -> None:
    reader = await scene.listen()
    async with scene.ledger.database.connection() as connection:
        await connection.execute(
            "WITH head AS (UPDATE journal_head SET position = position + 1 RETURNING position) "
            "INSERT INTO events (position, created_at, kind, user_id, details) "
            "SELECT position, now(), 'ODD', $1, '[]' FROM head",
            scene.ann.id,
        )
    await reader.ended()
    resumed = await scene.listen(1)
    await resumed.ended()
    assert (reader.end, resumed.end) == (FAILED, FAILED)
    another = await scene.listen()
    await another.until(await scene.pay())
    await another.leave()


@pytest.mark.anyio
async def test_a_stream_that_loses_the_database_while_it_catches_up_says_so_and_ends(scene: Scene) -> None:
    stream = await scene.streams.open(token_of(scene.ann), scene.ann.id, 1)
    scene.proxy.go_away()
    reader = Reader(scene.streams, stream)
    await reader.ended()
    assert (reader.end, reader.told) == (UNAVAILABLE, [])
