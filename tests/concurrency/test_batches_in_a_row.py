"""A batch that is decided on what the one before it will leave, while that one is still being written.

The test holds the lock of an account of the first batch, so that its statement is under way for as long as it
wants. The second batch is decided meanwhile, on money that only the first one brings, and written after it; if
the first one fails it was decided on nothing, and must be decided again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from nostro.domain.books import Posted
from nostro.domain.errors import InsufficientFunds
from nostro.domain.ids import ObjectId
from nostro.ledger.committer import Committer
from nostro.ledger.heads import Heads
from nostro.ledger.queue import BATCHES_UNTIL_QUIET
from nostro.store import optimistic
from tests.concurrency.bank import codes, send
from tests.concurrency.conftest import Rivals
from tests.concurrency.rendezvous import until_some_wait
from tests.concurrency.test_heads_in_memory import Scene, opened

pytestmark = pytest.mark.anyio

Patch = pytest.MonkeyPatch


@pytest.fixture
async def scene(rivals: Rivals, monkeypatch: Patch, form: str) -> Scene:
    """As in test_heads_in_memory; one request is worth a batch of its own."""
    scene = await opened(rivals, monkeypatch)
    committer_of(scene).flights.worth_a_second = 1
    return scene


def committer_of(scene: Scene) -> Committer:
    return scene.here.transfers.committer


@contextlib.asynccontextmanager
async def locked(url: str, account: ObjectId) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM accounts WHERE id = $1 FOR NO KEY UPDATE", account)
            yield connection
    finally:
        await connection.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - no event of ours tells of it
            await asyncio.sleep(0.005)


def decided(scene: Scene, count: int) -> Callable[[], bool]:
    return lambda: [flight.is_decided for flight in committer_of(scene).flights] == [True] * count


async def two_in_a_row(scene: Scene, first: str, second: str) -> "list[asyncio.Task[Any]]":
    """The first pays `first` to target, which pays `second` on; both are decided, neither is written."""
    tasks = [asyncio.create_task(scene.pay(first))]
    await until(decided(scene, 1))
    onward = send(scene.here, scene.claims, scene.target, scene.poor, second)
    tasks.append(asyncio.create_task(onward))
    await until(decided(scene, 2))
    return tasks


async def test_the_second_spends_what_the_first_is_about_to_bring(scene: Scene, database_url: str) -> None:
    async with locked(database_url, scene.source):
        tasks = await two_in_a_row(scene, "100", "70")
        assert scene.tried == []
    outcomes = await asyncio.gather(*tasks)
    assert codes(outcomes) == {"posted": 2}
    assert scene.tried == ["written"] * 2
    positions = [outcome.transaction.position for outcome in outcomes]
    times = [outcome.transaction.created_at for outcome in outcomes]
    assert positions == [positions[0], positions[0] + 1]
    assert times == sorted(times)
    accounts = (scene.source, scene.target, scene.poor)
    assert [await scene.bank.balance(account) for account in accounts] == [0, 3000, 7000]
    assert await scene.is_healthy()


async def test_what_they_leave_is_remembered(scene: Scene, database_url: str) -> None:
    async with locked(database_url, scene.source):
        tasks = await two_in_a_row(scene, "100", "70")
    await asyncio.gather(*tasks)
    assert codes([await send(scene.here, scene.claims, scene.target, scene.source, "30")]) == {"posted": 1}
    assert scene.tried == ["written"] * 3
    assert await scene.is_healthy()


async def the_first_fails(scene: Scene, url: str) -> list[Any]:
    """What the first one would pay is spent in the other process while it waits."""
    async with locked(url, scene.source) as held:
        spent = asyncio.create_task(scene.pay("90", ledger=scene.elsewhere))
        await until_some_wait(held)
        tasks = await two_in_a_row(scene, "50", "40")
    assert codes([await spent]) == {"posted": 1}
    return list(await asyncio.gather(*tasks))


async def test_when_the_first_fails_the_second_is_decided_again(scene: Scene, database_url: str) -> None:
    """The target has the 90 from elsewhere, so it can pay 40; but not because of the 50."""
    first, second = await the_first_fails(scene, database_url)
    assert isinstance(first, InsufficientFunds)
    assert isinstance(second, Posted)
    assert scene.tried == ["stale"]
    accounts = (scene.source, scene.target, scene.poor)
    assert [await scene.bank.balance(account) for account in accounts] == [1000, 5000, 4000]
    assert await scene.is_healthy()


async def the_first_pays_nothing(scene: Scene, url: str) -> list[Any]:
    """As before, but the target gets nothing from elsewhere: its row is as the second was decided on."""
    async with locked(url, scene.source) as held:
        elsewhere = send(scene.elsewhere, scene.claims, scene.source, scene.rich, "90")
        spent = asyncio.create_task(elsewhere)
        await until_some_wait(held)
        tasks = await two_in_a_row(scene, "50", "40")
    assert codes([await spent]) == {"posted": 1}
    return list(await asyncio.gather(*tasks))


async def test_money_that_never_came_is_not_spent(scene: Scene, database_url: str) -> None:
    outcomes = await the_first_pays_nothing(scene, database_url)
    assert codes(outcomes) == {"insufficient_funds": 2}
    assert scene.tried == ["stale"]
    assert await scene.bank.balance(scene.poor) == 0
    assert await scene.is_healthy()


async def test_without_the_look_at_what_is_remembered_money_that_never_came_is_spent(
    scene: Scene, database_url: str, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(Heads, "has", lambda *_, **__: True)
    first, second = await the_first_pays_nothing(scene, database_url)
    assert codes([first, second]) == {"insufficient_funds": 1, "posted": 1}
    assert not await scene.is_healthy()


async def test_when_the_answer_to_the_first_is_lost_both_are_done_once(
    scene: Scene, database_url: str, monkeypatch: Patch
) -> None:
    """It was committed; only its process does not know. The second is decided again, on what is found."""
    write = optimistic.write_if_unchanged

    async def lose_the_answer(*arguments: Any) -> Any:
        monkeypatch.setattr(optimistic, "write_if_unchanged", write)
        await write(*arguments)
        raise ConnectionResetError

    monkeypatch.setattr(optimistic, "write_if_unchanged", lose_the_answer)
    async with locked(database_url, scene.source):
        tasks = await two_in_a_row(scene, "100", "70")
    outcomes = await asyncio.gather(*tasks)
    assert codes(outcomes) == {"posted": 2}
    assert await scene.bank.balance(scene.poor) == 7000
    assert await scene.is_healthy()


async def test_who_waits_behind_a_batch_past_the_deadline_is_told_that_nothing_was_done(
    scene: Scene, database_url: str
) -> None:
    committer_of(scene).deadline_s = 1
    async with locked(database_url, scene.source):
        outcomes = await asyncio.gather(*await two_in_a_row(scene, "100", "70"))
    assert [*codes(outcomes)] == ["outcome_unknown", "database_unavailable"]
    committer_of(scene).deadline_s = 5
    assert codes([await send(scene.here, scene.claims, scene.rich, scene.poor, "1")]) == {"posted": 1}
    assert await scene.bank.balance(scene.poor) == 100
    assert await scene.is_healthy()


async def test_who_has_no_account_in_common_does_not_wait(scene: Scene, database_url: str) -> None:
    async with locked(database_url, scene.source):
        first = asyncio.create_task(scene.pay("100"))
        await until(decided(scene, 1))
        other = await send(scene.here, scene.claims, scene.rich, scene.poor, "1")
        assert codes([other]) == {"posted": 1}
        assert not first.done()
    assert codes([await first]) == {"posted": 1}


async def until_it_is_quiet(scene: Scene) -> None:
    """Bulk work has been alone for long enough to have two chunks under way."""
    queue = committer_of(scene).queue
    ways = [(scene.source, scene.target), (scene.target, scene.source)]
    alone = [scene.wish(*ways[number % 2], "1") for number in range(BATCHES_UNTIL_QUIET * queue.chunk)]
    assert codes(await scene.here.transfers.begin_bulk(alone, together=False)) == {"posted": len(alone)}
    assert queue.is_quiet


@pytest.mark.parametrize("fails", [False, True], ids=["nothing fails", "the first chunk fails"])
async def test_chunks_of_a_bulk_keep_their_order(scene: Scene, *, fails: bool) -> None:
    """Each item spends what the one before it brought."""
    queue = committer_of(scene).queue
    queue.max_batch = queue.chunk = 7
    await until_it_is_quiet(scene)
    scene.tried.clear()
    if fails:
        assert codes([await scene.pay("10", ledger=scene.elsewhere)]) == {"posted": 1}
        await scene.bank.fund(scene.source, 10)
    ways = [(scene.source, scene.target), (scene.target, scene.source)]
    bulk = [scene.wish(*ways[number % 2], "100") for number in range(60)]
    outcomes = await scene.here.transfers.begin_bulk(bulk, together=False)
    assert codes(outcomes) == {"posted": 60}
    positions = [outcome.transaction.position for outcome in outcomes]
    assert positions == [*range(positions[0], positions[0] + 60)]
    assert ("stale" in scene.tried) == fails
    assert await scene.is_healthy()


async def test_two_chunks_of_a_bulk_are_under_way_at_once(scene: Scene, database_url: str) -> None:
    queue = committer_of(scene).queue
    queue.max_batch = queue.chunk = 5
    await until_it_is_quiet(scene)
    bulk = [scene.wish(scene.source, scene.target, "1") for _ in range(15)]
    async with locked(database_url, scene.source):
        answers = scene.here.transfers.begin_bulk(bulk, together=False)
        await until(decided(scene, 2))
        single = await send(scene.here, scene.claims, scene.rich, scene.poor, "1")
        assert codes([single]) == {"posted": 1}, "a single request is the third"
    assert codes(await answers) == {"posted": 15}
    assert set(scene.tried) == {"written"}


async def test_no_flight_keeps_those_before_it_in_memory(scene: Scene) -> None:
    seen = []
    add = committer_of(scene).flights.add
    committer_of(scene).flights.add = lambda task, flight: (seen.append(flight), add(task, flight))  # type: ignore[method-assign]
    ways = [(scene.source, scene.target), (scene.target, scene.source)]
    for _ in range(10):
        sent = (send(scene.here, scene.claims, *way, "1") for way in ways)
        assert codes(await asyncio.gather(*sent)) == {"posted": 2}
    assert len(seen) >= 10
    assert [flight.after for flight in seen] == [[]] * len(seen)


async def test_what_another_server_said_is_not_believed(scene: Scene) -> None:
    """After a failover the new server may lack commits that the old one told of, and count versions anew."""
    assert scene.heads.of([scene.source, scene.rich]).keys() == {scene.source, scene.rich}
    connection = await scene.here.database.acquire_committer()
    await scene.here.database.release_committer(connection, broken=False)
    connection.terminate()
    await until(connection.is_closed)
    assert codes([await scene.pay("1")]) == {"posted": 1}
    assert scene.heads.of([scene.source, scene.rich]).keys() == {scene.source}
