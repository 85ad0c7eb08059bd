"""What clients see while processes and connections are killed fits one order, and the clock."""

import asyncio
import random
import signal
from collections.abc import Callable

import asyncpg
import pytest

from tests.conftest import Service
from tests.fault.isolation import ALL, Done, Lists, Sight, Witnesses, anomalies
from tests.fault.scene import Scene

LISTS = {"x": ["a", "b"], "y": ["b", "c"], ALL: ["a", "b", "c"]}
DONE = [Done("a", 0, 10), Done("b", 20, 30), Done("c", 40, None)]


def seen(of: str, *newest: str, begun: int = 100, ended: int = 110) -> Sight:
    return Sight("reader", of, newest, begun, ended)


@pytest.mark.parametrize(
    ("lists", "sights", "wrong"),
    [
        (LISTS, [seen("x", "a", "b"), seen(ALL, "b", "c")], ""),
        (LISTS, [seen("x", "a", begun=12, ended=25), seen("y", begun=5, ended=35)], ""),
        (LISTS, [seen("y", "b", begun=32, ended=200)], ""),  # nobody was told of c
        (LISTS, [seen("x", "a", "z")], "reader: saw what never was so"),
        (LISTS, [seen("x", "b", "a")], "reader: saw what never was so"),
        (LISTS, [seen(ALL, "a", "c")], "reader: saw what never was so"),
        (LISTS | {"y": ["b", "a"]}, [], "G0"),
        (LISTS, [seen("x", "a", begun=31, ended=33)], "against the clock"),
        (LISTS, [seen("x", "a", "b", begun=1, ended=5)], "against the clock"),
        ({"x": ["a"], "y": ["b"], ALL: ["a", "b"]}, [seen("x", begun=12, ended=15)], "against the clock"),
    ],
)
def test_the_checker_finds_what_was_planted(lists: Lists, sights: list[Sight], wrong: str) -> None:
    found = anomalies(lists, sights, DONE)
    assert len(found) == bool(wrong)
    assert not wrong or found[0].startswith(wrong)


def test_a_reader_of_two_lists_who_saw_half_of_a_transfer_is_found() -> None:
    """Two sights of one reader at one moment: b is in x already, and not yet in y, where it came first."""
    half = [seen("x", "a", "b"), seen("y")]
    assert anomalies({"x": ["a", "b"], "y": ["b"]}, half, [])[0].startswith("a circle with what was not seen")


async def lists_of(url: str, accounts: list[str]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The lists as they are in the end, and the key of each transaction, read past the service."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT encode(e.account_id, 'hex') AS account, encode(t.id, 'hex') AS id, t.idempotency_key AS key"
            "  FROM entries e JOIN transactions t USING (position) ORDER BY e.position, e.seq"
        )
    finally:
        await connection.close()
    own = [row for row in rows if row["account"] in accounts]
    lists = {account: [row["id"] for row in own if row["account"] == account] for account in accounts}
    return lists | {ALL: list(dict.fromkeys(row["id"] for row in own))}, {row["key"]: row["id"] for row in own}


async def end_a_connection(url: str, chance: random.Random) -> None:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'nostro%'"
        )
        await connection.execute("SELECT pg_terminate_backend($1)", chance.choice(rows)["pid"])
    finally:
        await connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_seen_while_things_are_killed_fits_one_order_and_the_clock(
    on_a_server: Scene, start_service: Callable[..., Service], workers: int
) -> None:
    scene, chance = on_a_server, random.Random(workers)
    assert scene.service.stop() == 0
    scene.service = start_service(NOSTRO_WORKERS=str(workers))
    witnesses = Witnesses(
        scene.history, lambda: scene.service.url, scene.ann.token, scene.accounts, seed=workers, threads=8
    )
    with witnesses:
        for _ in range(3):
            for _ in range(4):
                witnesses.until("ok", 40)
                asyncio.run(end_a_connection(scene.url, chance))
            scene.service.stop(signal.SIGKILL)
            scene.service = start_service(NOSTRO_WORKERS=str(workers))
    scene.settle()
    lists, ids = asyncio.run(lists_of(scene.url, scene.accounts))
    done = [Done(ids[key], *asked) for key, asked in witnesses.asked.items() if key in ids]
    assert len(witnesses.sights) > 100
    assert anomalies(lists, witnesses.sights, done) == []
