"""Whatever becomes of the processes that follow the journal: everything that was committed is told, at least
once, always under the same id, and in order where order is promised; nothing else is.

The followers run in processes of their own, which are killed and stopped; they send to a real HTTP server that
counts. The journal is written meanwhile, by this process.
"""

import asyncio
import contextlib
import random
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import pytest

from nostro.ledger.service import Ledger
from nostro.store import journal
from tests.concurrency.bank import Bank, send, token_of
from tests.fault.follower_process import GOODBYE, Plan, Processes, end, send_signal
from tests.fault.sink import PATIENCE_S, Given, Sink
from tests.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

# Kills of the worker in one run, and the seed of their moments.
FEW, MANY = 25, 1000
_MARK_WITHOUT_FENCE = (
    "mark_deliveries",
    "AND d.fence = n.fence\n   AND (d.status = 'PENDING') IS TRUE",
    "AND n.fence = n.fence",
)


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Processes() as started:
        yield started


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Any]:
    """A superuser's look at what is stored."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def until(condition: Callable[[], Any]) -> None:
    """Return when the awaited `condition()` is true; fail when it never is."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.02)


async def happen(ledger: Ledger, count: int) -> None:
    """`count` more positions in the journal."""
    for number in range(count):
        async with ledger.database.transaction() as connection:
            await journal.append_event(connection, "SOMETHING_HAPPENED", number=number)


async def all_sent(tables: Any, follower: str = "plain") -> bool:
    """Whether the cursor is at the head, and nothing waits."""
    behind = await tables.fetchval(
        "SELECT h.position - f.position FROM followers f, journal_head h WHERE f.name = $1", follower
    )
    waiting = "SELECT count(*) FROM deliveries WHERE follower = $1 AND status = 'PENDING'"
    return behind == 0 and await tables.fetchval(waiting, follower) == 0


@asynccontextmanager
async def a_busy_ledger(ledger: Ledger) -> AsyncIterator[None]:
    """Money moves all the time inside; now and then a database transaction takes a position and rolls back."""
    bank = await Bank.open(ledger)
    ann = await bank.person()
    accounts = [await bank.account(ann, 1000) for _ in range(4)]
    ending = asyncio.Event()

    async def move(chance: random.Random) -> None:
        while not ending.is_set():
            source, target = chance.sample(accounts, 2)
            await send(ledger, token_of(ann), source, target, str(chance.randint(1, 5)))
            if chance.random() < 0.1:
                with contextlib.suppress(RuntimeError):
                    await _roll_back(ledger)
            await asyncio.sleep(0.01)

    moving = [asyncio.create_task(move(random.Random(number))) for number in range(2)]
    try:
        yield
    finally:
        ending.set()
        await asyncio.gather(*moving)


async def _roll_back(ledger: Ledger) -> None:
    async with ledger.database.transaction() as connection:
        await journal.append_event(connection, "NEVER_HAPPENED")
        raise RuntimeError


async def kill_at_random(processes: Processes, plans: list[Plan], kills: int, seed: int) -> None:
    """Start processes again and again, each killed at a moment that the seed decides; at last, let them be."""
    chance = random.Random(seed)
    running = [processes.start(plan) for plan in plans]
    for _ in range(kills):
        victim = chance.randrange(len(plans))
        await asyncio.sleep(chance.uniform(0.0, 0.25))
        end(running[victim])
        running[victim] = processes.start(plans[victim])


@pytest.mark.parametrize("kills", [FEW, pytest.param(MANY, marks=pytest.mark.full)])
async def test_processes_killed_at_random_lose_nothing_and_keep_every_id(
    database_url: str, ledger: Ledger, tables: Any, processes: Processes, kills: int
) -> None:
    targets = ("one", "two")
    with Sink() as sink:
        plan = Plan(database_url, sink.port, targets)
        async with a_busy_ledger(ledger):
            await kill_at_random(processes, [plan, plan], kills, seed=kills)
        await until(lambda: all_sent(tables))
    head = await tables.fetchval("SELECT position FROM journal_head")
    ids = sink.ids()
    assert set(ids) == {(position, target) for position in range(1, head + 1) for target in targets}
    assert {len(each) for each in ids.values()} == {1}
    assert len({one for each in ids.values() for one in each}) == len(ids)
    assert not [one for one in sink.given if one["payload"]["type"] == "never.happened"]
    repeated = sum(sink.count().values()) - len(ids)
    print(f"{kills} kills, {len(ids)} deliveries, {repeated} repeated")  # noqa: T201 - shown when a test fails


@pytest.mark.parametrize("kills", [FEW, pytest.param(MANY, marks=pytest.mark.full)])
async def test_publishers_killed_at_random_keep_the_order(
    database_url: str, ledger: Ledger, tables: Any, processes: Processes, kills: int
) -> None:
    with Sink() as sink:
        plan = Plan(database_url, sink.port, ordered=True, patience_s=0.1)
        async with a_busy_ledger(ledger):
            await kill_at_random(processes, [plan, plan], kills, seed=kills)
        await until(lambda: all_sent(tables, "ordered"))
    head = await tables.fetchval("SELECT position FROM journal_head")
    first_seen = list(dict.fromkeys(one["position"] for one in sink.given))
    assert first_seen == list(range(1, head + 1))
    assert {len(each) for each in sink.ids().values()} == {1}


@pytest.mark.parametrize("fenced", [True, False])
async def test_a_sender_that_slept_through_its_claim_is_not_believed(
    database_url: str, ledger: Ledger, tables: Any, processes: Processes, fenced: bool
) -> None:
    """The first is stopped while the target answers it 200. Its claim ends; the second tries, and is told 410,
    so the delivery is set aside. Then the first wakes up and marks what it knows. Without the fence, it would
    be believed."""
    answers = {1: 200, 2: GOODBYE}
    asleep = threading.Event()

    def answer(given: Given) -> int:
        if given["attempt"] == 1 and given["position"] == 1:
            asleep.wait(PATIENCE_S)
        return answers.get(given["attempt"], 200) if given["position"] == 1 else 200

    with Sink(answer) as sink:
        plan = Plan(database_url, sink.port, changes=() if fenced else (_MARK_WITHOUT_FENCE,))
        first = processes.start(plan)
        await happen(ledger, 1)
        await asyncio.to_thread(sink.until, lambda given: len(given) == 1)
        send_signal(first, signal.SIGSTOP)
        asleep.set()
        second = processes.start(plan)
        aside = "SELECT status = 'SET_ASIDE' FROM deliveries WHERE position = 1"
        await until(lambda: tables.fetchval(aside))
        before = await tables.fetchrow("SELECT status, fence, last_error FROM deliveries")
        end(second)
        send_signal(first, signal.SIGCONT)
        # It writes what it knows in order: once it has marked the next delivery, it has marked the first.
        await happen(ledger, 1)
        await until(lambda: tables.fetchval("SELECT status = 'SENT' FROM deliveries WHERE position = 2"))
        after = await tables.fetchrow("SELECT status, fence, last_error FROM deliveries WHERE position = 1")
    assert (after == before) is fenced
    assert len({one["id"] for one in sink.given if one["position"] == 1}) == 1


async def test_a_publisher_that_was_stopped_is_replaced_and_harms_nothing_when_it_wakes(
    database_url: str, ledger: Ledger, tables: Any, processes: Processes
) -> None:
    asleep = threading.Event()

    def answer(given: Given) -> int:
        if given["position"] == 1 and given["process"] == first.pid:
            asleep.wait(PATIENCE_S)
        return 200

    with Sink(answer) as sink:
        plan = Plan(database_url, sink.port, ordered=True)
        first = processes.start(plan)
        await happen(ledger, 1)
        await asyncio.to_thread(sink.until, lambda given: len(given) == 1)
        send_signal(first, signal.SIGSTOP)
        asleep.set()
        second = processes.start(plan)
        await happen(ledger, 5)
        await until(lambda: all_sent(tables, "ordered"))
        send_signal(first, signal.SIGCONT)
        end(second)
        await happen(ledger, 5)
        await until(lambda: all_sent(tables, "ordered"))
    assert list(dict.fromkeys(one["position"] for one in sink.given)) == list(range(1, 12))
    assert {one["process"] for one in sink.given} == {first.pid, second.pid}


async def test_a_poisoned_delivery_is_set_aside_and_blocks_nobody(
    database_url: str, ledger: Ledger, tables: Any, processes: Processes
) -> None:
    """One delivery fails whenever it is tried. The others of its target are made meanwhile."""

    def answer(given: Given) -> int:
        return 500 if (given["position"], given["target"]) == (5, "one") else 200

    with Sink(answer) as sink:
        processes.start(Plan(database_url, sink.port, ("one", "two"), retry_schedule_s=(0.01, 0.01), senders=4))
        await happen(ledger, 20)
        await until(lambda: all_sent(tables))
        aside = await tables.fetch(
            "SELECT position, target, last_error FROM deliveries WHERE status = 'SET_ASIDE'"
        )
        assert [tuple(row) for row in aside] == [(5, "one", "answered 500")]
        assert sorted(sink.count().values()) == [1] * 39 + [3]
        sink.answer = lambda _: 200
        assert await ledger.following.retry("plain", None) == 1
        await until(lambda: all_sent(tables))
    assert await tables.fetchval("SELECT count(*) FROM deliveries WHERE status = 'SENT'") == 40
    assert {len(ids) for ids in sink.ids().values()} == {1}


async def test_a_target_that_keeps_failing_takes_no_more_than_its_share(
    database_url: str, ledger: Ledger, tables: Any, processes: Processes
) -> None:
    """One target hangs until its senders lose patience; what is for the other does not wait for that."""
    stuck = threading.Event()

    def answer(given: Given) -> int:
        return 200 if given["target"] == "well" or stuck.wait(PATIENCE_S) else 500

    with Sink(answer) as sink:
        processes.start(Plan(database_url, sink.port, ("stuck", "well"), patience_s=30, senders=4))
        await happen(ledger, 50)
        well = "SELECT count(*) = 50 FROM deliveries WHERE status = 'SENT' AND target = 'well'"
        await until(lambda: tables.fetchval(well))
        assert sum(one["target"] == "stuck" for one in sink.given) == 1
        stuck.set()
        await until(lambda: all_sent(tables))


async def test_a_delivery_that_kills_its_sender_is_set_aside_in_the_end(
    database_url: str, ledger: Ledger, tables: Any, processes: Processes
) -> None:
    with Sink() as sink:
        plan = Plan(database_url, sink.port, ("deadly", "well"), retry_schedule_s=(0.01,), deadly="deadly")
        await happen(ledger, 1)
        aside = "SELECT count(*) = 1 FROM deliveries WHERE status = 'SET_ASIDE' AND target = 'deadly'"
        while not await tables.fetchval(aside):
            await until(partial(_ended_or, processes.start(plan), tables, aside))
        await until(lambda: all_sent(tables))
    row = await tables.fetchrow("SELECT attempts, last_error FROM deliveries WHERE target = 'deadly'")
    assert tuple(row) == (3, "every process that tried it ended")
    assert [one["target"] for one in sink.given] == ["well"] * len(sink.given)


async def _ended_or(process: Any, tables: Any, query: str) -> bool:
    return not process.is_alive() or bool(await tables.fetchval(query))


async def test_two_processes_share_the_work(
    database_url: str, ledger: Ledger, tables: Any, processes: Processes
) -> None:
    both = threading.Event()

    def answer(_: Given) -> int:
        """Whoever comes first waits until the other has come, too."""
        if len({one["process"] for one in sink.given}) == 2:
            both.set()
        return 200 if both.wait(PATIENCE_S) else 500

    with Sink(answer) as sink:
        plan = Plan(database_url, sink.port, senders=4, patience_s=20)
        running = {processes.start(plan).pid for _ in range(2)}
        await happen(ledger, 40)
        await until(lambda: all_sent(tables))
    assert {one["process"] for one in sink.given} == running
    assert max(sink.count().values()) == 1


async def test_an_endpoint_that_was_away_is_told_everything_when_it_is_back(
    database_url: str, ledger: Ledger, tables: Any, processes: Processes
) -> None:
    port = free_port()
    processes.start(Plan(database_url, port))
    await happen(ledger, 100)
    tried = "SELECT count(*) >= 3 FROM deliveries WHERE status = 'PENDING' AND attempts > 0"
    await until(lambda: tables.fetchval(tried))
    with Sink(port=port) as sink:
        await until(lambda: all_sent(tables))
        assert {position for position, _ in sink.ids()} == set(range(1, 101))
        assert {len(each) for each in sink.ids().values()} == {1}


async def test_a_replay_tells_again_what_came_after_a_position_under_the_same_ids(
    database_url: str, ledger: Ledger, tables: Any, processes: Processes
) -> None:
    with Sink() as sink:
        processes.start(Plan(database_url, sink.port))
        await happen(ledger, 10)
        await until(lambda: all_sent(tables))
        assert max(sink.count().values()) == 1
        await ledger.following.replay("plain", 6)
        await asyncio.to_thread(sink.until, lambda given: len(given) == 14)
        await until(lambda: all_sent(tables))
    assert sorted(sink.count().values()) == [1] * 6 + [2] * 4
    assert {one["position"] for one in sink.given[10:]} == {7, 8, 9, 10}
    assert {len(each) for each in sink.ids().values()} == {1}


async def test_a_process_that_is_told_to_stop_gives_back_what_it_had_claimed(
    database_url: str, ledger: Ledger, tables: Any, processes: Processes
) -> None:
    """Its claim would last for a minute; another process takes the delivery at once."""
    asleep = threading.Event()

    def answer(given: Given) -> int:
        return 200 if given["process"] != first.pid or asleep.wait(PATIENCE_S) else 500

    with Sink(answer) as sink:
        plan = Plan(database_url, sink.port, patience_s=30)
        first = processes.start(plan)
        await happen(ledger, 1)
        await asyncio.to_thread(sink.until, lambda given: len(given) == 1)
        send_signal(first, signal.SIGTERM)
        await asyncio.to_thread(first.join, PATIENCE_S)
        assert await tables.fetchval("SELECT due_at <= now() AND claimed_until <= now() FROM deliveries")
        second = processes.start(plan)
        await until(lambda: all_sent(tables))
        asleep.set()
    assert [one["process"] for one in sink.given] == [first.pid, second.pid]
