"""Digests: each item is told in exactly one, whoever adds and whoever closes at the same moment.

The race: the cursor's transaction puts an item into a digest whose time has come, while another process closes
it. If whoever adds did not lock the digest, it could be told before the item is in, and the item nowhere.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from nostro.domain.ids import ObjectId
from nostro.followers.mail.digests import close_due_digests, next_digest
from nostro.ledger.service import Ledger
from nostro.store import mail as mails
from nostro.store.database import Connection
from nostro.store.queries import SQL
from tests.concurrency.rendezvous import Rendezvous

pytestmark = pytest.mark.anyio

PAST = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)


async def reader(ledger: Ledger) -> ObjectId:
    return (await ledger.users.register("ann@example.com", "correct horse", "Ann")).id


async def add(connection: Connection, user: ObjectId, position: int, due: datetime = PAST) -> bool:
    return await mails.add_to_digest(connection, user, due, position, "a target", {"n": position})


async def told(ledger: Ledger, user: ObjectId, due: datetime = PAST) -> list[int]:
    async with ledger.database.connection() as connection:
        return [item["n"] for item in await mails.digest_items(connection, user, due)]


async def deliveries(ledger: Ledger) -> int:
    async with ledger.database.connection() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM deliveries WHERE follower = 'mail'"))


async def test_a_digest_that_just_gets_an_item_is_not_closed_before_the_item_is_in(ledger: Ledger) -> None:
    user = await reader(ledger)
    async with ledger.database.transaction() as connection:
        assert await add(connection, user, 1)
    async with ledger.database.transaction() as connection:
        assert await add(connection, user, 2)
        assert await close_due_digests(ledger.database, "mail") == 0
    assert await close_due_digests(ledger.database, "mail") == 1
    assert (await told(ledger, user), await deliveries(ledger)) == ([1, 2], 1)


async def add_while_it_is_closed(
    ledger: Ledger, url: str, meanwhile: Callable[[], None] = lambda: None
) -> tuple[bool, list[int]]:
    """Whether the second item got into the digest, and what was in it when it was closed."""
    user = await reader(ledger)
    async with ledger.database.transaction() as connection:
        assert await add(connection, user, 1)
    meanwhile()

    async def late() -> bool:
        async with ledger.database.transaction() as connection:
            return await add(connection, user, 2)

    async with Rendezvous(url) as meeting, ledger.database.transaction() as connection:
        assert len(await mails.close_due_digests(connection, 10)) == 1
        closed_with = await told(ledger, user)
        waiting = asyncio.create_task(late())
        await meeting.until(waiting.done)
        assert not waiting.done()
    return await waiting, closed_with


async def test_whoever_adds_while_it_is_closed_waits_and_finds_it_closed(
    ledger: Ledger, database_url: str
) -> None:
    assert await add_while_it_is_closed(ledger, database_url) == (False, [1])


async def test_without_looking_under_the_lock_an_item_joins_a_digest_that_was_told(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = """INSERT INTO mail_digests (user_id, due_at) SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM told)
  ON CONFLICT (user_id, due_at) DO UPDATE SET due_at = excluded.due_at WHERE mail_digests.closed_at IS NULL
  RETURNING user_id, due_at"""
    look = "SELECT user_id, due_at FROM mail_digests WHERE user_id = $1 AND due_at = $2 AND closed_at IS NULL"
    unlocked = SQL["add_to_digest"].replace(lock, look)
    assert unlocked != SQL["add_to_digest"]
    came = await add_while_it_is_closed(
        ledger, database_url, lambda: monkeypatch.setitem(SQL, "add_to_digest", unlocked)
    )
    assert came == (True, [1])


async def test_a_digest_is_closed_once_however_many_processes_look(ledger: Ledger) -> None:
    user = await reader(ledger)
    async with ledger.database.transaction() as connection:
        for day in range(20):
            assert await add(connection, user, day + 1, PAST - timedelta(days=day))
    closed = await asyncio.gather(*(close_due_digests(ledger.database, "mail") for _ in range(4)))
    assert sum(closed) == 20
    assert await deliveries(ledger) == 20


async def test_of_many_who_add_and_many_who_close_no_item_is_lost_or_told_twice(ledger: Ledger) -> None:
    user = await reader(ledger)

    async def keep_adding(first: int) -> None:
        for position in range(first, first + 25):
            due = PAST
            async with ledger.database.transaction() as connection:
                while not await add(connection, user, position, due):
                    due += timedelta(seconds=1)

    async def keep_closing() -> None:
        while adding:
            await close_due_digests(ledger.database, "mail")

    adding = {asyncio.create_task(keep_adding(first)) for first in (1, 101, 201)}
    for task in adding.copy():
        task.add_done_callback(adding.discard)
    await asyncio.gather(*adding, keep_closing())
    await close_due_digests(ledger.database, "mail")
    async with ledger.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT i.position, d.closed_at IS NOT NULL AS closed FROM mail_digest_items i JOIN mail_digests d "
            "USING (user_id, due_at)"
        )
        digests = await connection.fetchval("SELECT count(*) FROM mail_digests")
    assert Counter(row["position"] for row in rows) == Counter(
        [*range(1, 26), *range(101, 126), *range(201, 226)]
    )
    assert all(row["closed"] for row in rows)
    assert await deliveries(ledger) == digests


async def test_an_item_that_a_replay_brings_again_stays_where_it_was_told(ledger: Ledger) -> None:
    user = await reader(ledger)
    async with ledger.database.transaction() as connection:
        assert await add(connection, user, 1)
    await close_due_digests(ledger.database, "mail")
    async with ledger.database.transaction() as connection:
        assert await add(connection, user, 1)
        assert await add(connection, user, 1, PAST + timedelta(days=1))
    assert await close_due_digests(ledger.database, "mail") == 0
    assert await told(ledger, user, PAST + timedelta(days=1)) == []


@pytest.mark.parametrize(
    ("now", "zone", "due"),
    [
        ("2026-11-20T06:59:59+00:00", "UTC", "2026-11-20T07:00:00+00:00"),
        ("2026-11-20T07:00:00+00:00", "UTC", "2026-11-21T07:00:00+00:00"),
        ("2026-11-20T12:00:00+00:00", "Asia/Kolkata", "2026-11-21T07:00:00+05:30"),
        (
            "2026-03-28T12:00:00+00:00",
            "Europe/Berlin",
            "2026-03-29T07:00:00+02:00",
        ),  # the clocks change at night
        ("2026-12-31T23:00:00+00:00", "Pacific/Kiritimati", "2027-01-02T07:00:00+14:00"),
    ],
)
async def test_a_digest_is_due_at_the_next_seven_oclock_of_its_reader(now: str, zone: str, due: str) -> None:
    assert next_digest(datetime.fromisoformat(now), zone) == datetime.fromisoformat(due)
