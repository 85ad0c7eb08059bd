"""The steps of a follower in one process, broken one by one: a delivery exists if and only if the cursor has
passed its event, and a fence that is outdated moves nothing."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import asyncpg
import pytest

from nostro.domain.delivery import WHOLE_EVENT
from nostro.domain.errors import DatabaseUnavailable, Unavailable
from nostro.followers import live_end
from nostro.followers.cursor import Cursor
from nostro.followers.frame import ClaimedDelivery, Delivery, Event, Terms
from nostro.followers.live_end import Journal, LiveEnd
from nostro.followers.ordered import Publisher
from nostro.followers.pace import Pace
from nostro.followers.senders import Senders
from nostro.ledger import head
from nostro.ledger.service import Ledger
from nostro.store import followers
from nostro.store.database import Connection
from nostro.store.queries import SQL
from tests.fault.test_followers import happen, until

pytestmark = pytest.mark.anyio

BATCH = 3
_STEPS = ("take_cursor", "events_after", "deliveries", "add_deliveries", "move_cursor", "commit")


class Kept:
    """A follower that keeps what it is given, for two targets of each event."""

    name = "kept"

    def __init__(self) -> None:
        self.sent: list[ClaimedDelivery] = []
        self.targets = ("one", "two")

    async def deliveries(self, _: Connection, events: Sequence[Event]) -> list[Delivery]:
        return [
            Delivery(event.position, event.id, to, {"id": event.id}) for event in events for to in self.targets
        ]

    async def send(self, delivery: ClaimedDelivery) -> None:
        self.sent.append(delivery)


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def follower(ledger: Ledger) -> Kept:
    async with ledger.database.background() as connection:
        await followers.register(connection, Kept.name, 0)
    return Kept()


def cursor_of(ledger: Ledger, follower: Any, batch: int = BATCH) -> Cursor:
    return Cursor(
        ledger.database,
        Journal(ledger.watch, LiveEnd(ledger.recent), Pace(ledger.watch, ledger.recent)),
        follower,
        Terms(batch=batch),
        asyncio.Event(),
    )


async def at_work(ledger: Ledger, follower: Any, enough: Callable[[], Any], **terms: Any) -> None:
    """Let senders work until `enough()`, awaited, is true."""
    working = asyncio.create_task(
        Senders(
            ledger.database, Pace(ledger.watch, ledger.recent), follower, Terms(**terms), asyncio.Event()
        ).run()
    )
    try:
        await until(enough)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def told(tables: Any) -> tuple[int, list[int]]:
    """Where the cursor stands, and the positions that have deliveries, each as often as it has."""
    rows = await tables.fetch("SELECT position FROM deliveries ORDER BY position")
    return await tables.fetchval("SELECT position FROM followers"), [row["position"] for row in rows]


def _complete(position: int) -> tuple[int, list[int]]:
    return position, sorted([*range(1, position + 1)] * 2)


class Breaks:
    """Breaks one step of the cursor's transaction, before it is done or after."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, follower: Kept, step: str, *, after: bool) -> None:
        self.broken = False
        place: Any = {"events_after": live_end, "deliveries": follower}.get(step, followers)
        if step == "commit":
            place, step = asyncpg.transaction.Transaction, "commit"
        real = getattr(place, step)

        async def break_once(*arguments: Any, **named: Any) -> Any:
            if self.broken:
                return await real(*arguments, **named)
            self.broken = True
            if after:
                await real(*arguments, **named)
            raise DatabaseUnavailable

        monkeypatch.setattr(place, step, break_once)


@pytest.mark.parametrize(("step", "after"), [*itertools.product(_STEPS, [False, True])])
async def test_a_cursor_broken_at_any_step_has_moved_with_its_deliveries_or_not_at_all(
    ledger: Ledger,
    tables: Any,
    follower: Kept,
    monkeypatch: pytest.MonkeyPatch,
    *,
    step: str,
    after: bool,
) -> None:
    await happen(ledger, BATCH)
    breaks = Breaks(monkeypatch, follower, step, after=after)
    with pytest.raises(Unavailable):
        await cursor_of(ledger, follower).advance()
    assert breaks.broken
    done = step == "commit" and after
    assert await told(tables) == _complete(BATCH if done else 0)
    assert await cursor_of(ledger, follower).advance() == BATCH
    assert await told(tables) == _complete(BATCH)


@pytest.mark.parametrize("seed", range(3))
async def test_two_cursors_broken_at_random_pass_every_event_once(
    ledger: Ledger, tables: Any, follower: Kept, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Both run at once, the journal grows, and every other attempt is broken somewhere."""
    chance, head = random.Random(seed), 0

    async def attempt() -> None:
        with contextlib.suppress(Unavailable):
            await cursor_of(ledger, follower, chance.randint(2, 5)).advance()

    for _ in range(15):
        await happen(ledger, grown := chance.randint(0, 4))
        head += grown
        with monkeypatch.context() as patched:
            if chance.random() < 0.5:
                Breaks(patched, follower, chance.choice(_STEPS), after=chance.random() < 0.5)
            await asyncio.gather(attempt(), attempt())
        position, _ = at = await told(tables)
        assert at == _complete(position)
    while position < head:
        position = await cursor_of(ledger, follower).advance() or 0
    assert await told(tables) == _complete(head)


async def test_an_event_that_its_follower_cannot_take_is_set_aside_and_taken_when_it_can(
    ledger: Ledger, tables: Any, follower: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    await happen(ledger, 5)
    real = follower.deliveries

    async def cannot_take_three(connection: Connection, events: Sequence[Event]) -> list[Delivery]:
        if any(event.position == 3 for event in events):
            await connection.fetchval("SELECT 1 / 0")
        return await real(connection, events)

    with monkeypatch.context() as patched:
        patched.setattr(follower, "deliveries", cannot_take_three)
        assert await cursor_of(ledger, follower, batch=5).advance() == 5
    aside = "SELECT position, target, last_error FROM deliveries WHERE status = 'SET_ASIDE'"
    reason = "it could not take the event (DivisionByZeroError)"
    assert [tuple(row) for row in await tables.fetch(aside)] == [(3, WHOLE_EVENT, reason)]
    assert await tables.fetchval("SELECT count(*) FROM deliveries WHERE status = 'PENDING'") == 8
    assert await ledger.following.retry(follower.name, None) == 1
    await at_work(ledger, follower, lambda: _nothing_waits(tables))
    assert sorted(one.position for one in follower.sent) == sorted([1, 2, 3, 4, 5] * 2)


async def _nothing_waits(tables: Any) -> bool:
    return not await tables.fetchval("SELECT count(*) FROM deliveries WHERE status = 'PENDING'")


async def test_every_one_of_many_targets_has_its_turn(ledger: Ledger, tables: Any, follower: Kept) -> None:
    """More targets than one claim looks at, one of them with a backlog that could keep all senders busy."""
    follower.targets = tuple(f"target {number:03}" for number in range(followers.LANES * 2 + 10))
    await happen(ledger, 1)
    await cursor_of(ledger, follower).advance()
    follower.targets = ("a backlog",)
    await happen(ledger, 100)
    await cursor_of(ledger, follower, batch=100).advance()
    await at_work(ledger, follower, lambda: _nothing_waits(tables), senders=4)
    order = [one.target for one in follower.sent]
    assert len(order) == len(set(order)) + 99
    last_of_the_many = max(number for number, target in enumerate(order) if target != "a backlog")
    assert order[:last_of_the_many].count("a backlog") < 100


async def test_two_deliveries_of_an_event_for_one_target_are_one(
    ledger: Ledger, tables: Any, follower: Kept
) -> None:
    follower.targets = ("one", "two", "one")
    await happen(ledger, 1)
    await cursor_of(ledger, follower).advance()
    assert await told(tables) == _complete(1)


async def test_old_deliveries_are_forgotten_and_others_are_not(
    ledger: Ledger, tables: Any, follower: Kept
) -> None:
    await tables.execute(
        """
        INSERT INTO deliveries (follower, position, target, payload, status, sent_at, created_at)
        SELECT 'kept', age, status::text, '{}', status,
               CASE status WHEN 'SENT' THEN now() END, now() - make_interval(days => age)
          FROM unnest(ARRAY[1, 29, 31, 89, 91]) AS age, unnest(enum_range(NULL::delivery_status)) AS status
        """
    )
    await ledger.following.forget_old()
    rows = await tables.fetch(
        "SELECT target, array_agg(position ORDER BY position) AS ages FROM deliveries GROUP BY 1"
    )
    assert {row["target"]: row["ages"] for row in rows} == {
        "SENT": [1, 29],
        "SET_ASIDE": [1, 29, 31, 89],
        "PENDING": [1, 29, 31, 89, 91],
    }


class Published:
    """An ordered follower that keeps what it is given."""

    name = "published"

    def __init__(self) -> None:
        self.positions: list[int] = []

    async def publish(self, events: Sequence[Event]) -> None:
        self.positions += [event.position for event in events]


@pytest.mark.parametrize("fenced", [True, False])
async def test_a_publisher_that_lost_its_lease_cannot_move_the_cursor(
    ledger: Ledger, tables: Any, monkeypatch: pytest.MonkeyPatch, fenced: bool
) -> None:
    """It stops between publishing and moving the cursor, for as long as its lease lasts. Another goes on to the
    end. The first wakes up and would set the cursor back; without the fence, it does."""
    if not fenced:
        condition = "WHERE name = $1 AND fence = $2 AND position = $3"
        assert condition in SQL["move_cursor_under_fence"]
        loose = "WHERE name = $1 AND $2::bigint > 0 AND $3::bigint >= 0"
        monkeypatch.setitem(
            SQL, "move_cursor_under_fence", SQL["move_cursor_under_fence"].replace(condition, loose)
        )
    real, stopped, awake = followers.move_cursor_under_fence, asyncio.Event(), asyncio.Event()
    believed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def stop_once(*arguments: Any, **named: Any) -> bool:
        if stopped.is_set():
            return await real(*arguments, **named)
        stopped.set()
        await awake.wait()
        believed.set_result(await real(*arguments, **named))
        return believed.result()

    monkeypatch.setattr(followers, "move_cursor_under_fence", stop_once)
    async with ledger.database.background() as connection:
        await followers.register(connection, Published.name, 0)
    first, second = Published(), Published()
    await happen(ledger, 2)
    running = [_publish(ledger, first)]
    await stopped.wait()
    await tables.execute("UPDATE followers SET lease_until = now() - interval '1 second'")
    await happen(ledger, 3)
    running.append(_publish(ledger, second))
    await until(lambda: _stands_at(tables, 5))
    awake.set()
    assert await believed is not fenced
    assert first.positions[:2] == [1, 2]
    assert second.positions[:5] == [1, 2, 3, 4, 5]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _stands_at(tables: Any, position: int) -> bool:
    return bool(await tables.fetchval("SELECT position = $1 FROM followers", position))


def _publish(ledger: Ledger, follower: Published) -> "asyncio.Task[None]":
    publisher = Publisher(
        ledger.database,
        Journal(ledger.watch, LiveEnd(ledger.recent), Pace(ledger.watch, ledger.recent)),
        follower,
        Terms(patience_s=10),
    )
    return asyncio.create_task(publisher.run())


async def test_whoever_follows_is_told_also_when_entries_cannot_be_summarized(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    async def tried_again() -> bool:
        return tried == turn

    async def fail(_: Connection) -> None:
        nonlocal tried
        tried += 1
        raise RuntimeError("an index that is not there")

    monkeypatch.setattr(head, "summarize_entries", fail)
    monkeypatch.setattr(head, "SUMMARIZE_EVERY", 2)
    for turn in range(1, 4):
        await happen(ledger, 2)
        async with asyncio.timeout(10):
            await ledger.watch.beyond(2 * turn - 1)
        await until(tried_again)
