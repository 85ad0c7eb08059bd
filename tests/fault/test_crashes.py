"""Whatever is killed under load, the ledger keeps what it acknowledged and nothing that it refused.

The load notes what it asks and what it is told in a synced file; a checker that shares nothing with the
service then holds the database to it. What stayed unknown is asked again with the same key, and must stand
there exactly once.
"""

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from nostro.embedded.sockets import choose_socket_dir
from tests.conftest import Service, start
from tests.fault.history import PATIENCE_S, read_history, what_is_wrong
from tests.fault.scene import Scene, a_scene, data_dir_of, processes_in, with_a_system_user

ASKED = {
    "a": {"source": "1", "target": "2", "rupees": 3, "outcome": "ok", "id": "x"},
    "b": {"source": "1", "target": "2", "rupees": 3, "outcome": "fail", "id": None},
    "c": {"source": "1", "target": "2", "rupees": 3, "outcome": "unknown", "id": None},
}


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ([("a", "x", "1", "2", 300)], []),
        ([("a", "x", "1", "2", 300), ("c", "y", "1", "2", 300)], []),
        ([], ["a: was acknowledged and is lost"]),
        ([("a", "z", "1", "2", 300)], ["a: was acknowledged under another id"]),
        ([("a", "x", "1", "2", 301)], ["a: stands there with other content"]),
        ([("a", "x", "1", "2", 300)] * 2, ["a: stands there 2 times"]),
        ([("a", "x", "1", "2", 300), ("b", "y", "1", "2", 300)], ["b: was refused and stands there"]),
        ([("a", "x", "1", "2", 300), ("d", "y", "1", "2", 300)], ["d: nobody asked for it"]),
    ],
)
def test_the_checker_finds_what_was_planted(rows: list[Any], wrong: list[str]) -> None:
    assert what_is_wrong(ASKED, rows) == wrong


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with an embedded PostgreSQL of its own; in the end all its processes are gone."""
    folder = tmp_path_factory.mktemp("own")
    service = start(folder / "service.log", NOSTRO_DATA_DIR=str(folder / "var"))
    try:
        yield with_a_system_user(service)
        assert service.stop() == 0
        assert processes_in(data_dir_of(service)) == []
    finally:
        service.stop(signal.SIGKILL)
        if service.process.stdout:
            service.process.stdout.close()


@pytest.fixture
def on_its_own(own_server: Service, tmp_path: Path) -> Iterator[Scene]:
    socket_dir = choose_socket_dir(data_dir_of(own_server).resolve())
    url = f"postgresql:///nostro?host={socket_dir}&port=5432&user=postgres"
    with a_scene(own_server, lambda: own_server, url, tmp_path) as scene:
        yield scene


def postmaster_of(scene: Scene) -> int:
    return int((data_dir_of(scene.service) / "pg" / "postmaster.pid").read_text().split("\n", 1)[0])


def backends_of(scene: Scene) -> list[int]:
    async def read() -> list[int]:
        connection = await asyncpg.connect(scene.url)
        try:
            rows = await connection.fetch(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'nostro%'"
            )
            return [row["pid"] for row in rows]
        finally:
            await connection.close()

    return asyncio.run(read())


def kill_the_service(scene: Scene, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    with scene.load(seed) as load:
        for _ in range(rounds):
            load.until("ok", chance.randint(1, 60))
            scene.service.stop(signal.SIGKILL)
            scene.service = scene.again()
            load.until("ok", 10)
    scene.settle()


@pytest.mark.slow
def test_a_service_killed_under_load_loses_nothing_it_acknowledged(on_a_server: Scene) -> None:
    kill_the_service(on_a_server, rounds=4, seed=1)


@pytest.mark.full
def test_a_service_killed_thirty_times_under_load_loses_nothing_it_acknowledged(on_a_server: Scene) -> None:
    kill_the_service(on_a_server, rounds=30, seed=2)


def kill_the_database(scene: Scene, rounds: int, seed: int, *, one_backend: bool) -> None:
    chance = random.Random(seed)
    with scene.load(seed) as load:
        for _ in range(rounds):
            load.until("ok", chance.randint(1, 60))
            victims = backends_of(scene) if one_backend else [postmaster_of(scene)]
            os.kill(chance.choice(victims), signal.SIGKILL)
            load.until("ok", 20)
    scene.settle()


@pytest.mark.slow
def test_a_postmaster_killed_under_load_is_started_again_and_nothing_is_lost(on_its_own: Scene) -> None:
    kill_the_database(on_its_own, rounds=3, seed=3, one_backend=False)


@pytest.mark.slow
def test_a_backend_killed_under_load_costs_no_money(on_its_own: Scene) -> None:
    kill_the_database(on_its_own, rounds=6, seed=4, one_backend=True)


@pytest.mark.full
@pytest.mark.parametrize("one_backend", [True, False], ids=["backends", "postmaster"])
def test_a_database_killed_many_times_under_load_loses_nothing(on_its_own: Scene, *, one_backend: bool) -> None:
    kill_the_database(on_its_own, rounds=30, seed=5, one_backend=one_backend)


def stop_the_service(scene: Scene, rounds: int, seed: int) -> None:
    """Asked to stop under load, it answers what it has accepted, and says goodbye with 0."""
    with scene.load(seed) as load:
        for _ in range(rounds):
            assert scene.service.stop(signal.SIGTERM) == 0
            scene.service = scene.again()
            load.until("ok", 20)
    scene.settle()


@pytest.mark.slow
def test_a_service_asked_to_stop_under_load_finishes_what_it_accepted(on_a_server: Scene) -> None:
    stop_the_service(on_a_server, rounds=3, seed=6)


@pytest.mark.full
def test_a_service_asked_to_stop_twenty_times_under_load_finishes_what_it_accepted(on_a_server: Scene) -> None:
    stop_the_service(on_a_server, rounds=20, seed=7)


@pytest.mark.slow
def test_a_database_stopped_in_its_tracks_makes_nobody_wait_past_the_deadline(on_its_own: Scene) -> None:
    """Every process of the server is stopped for as long as requests are asked; then it goes on."""
    scene = on_its_own
    stopped = processes_in(data_dir_of(scene.service) / "pg")
    assert postmaster_of(scene) in stopped
    with scene.load(9) as load:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            # Each of these has a client that would give up only after four times the deadline.
            with httpx2.Client(timeout=PATIENCE_S) as http:
                for path in ("/api/accounts", f"/api/accounts/balance/{scene.accounts[0]}"):
                    token = {"Authorization": f"Bearer {scene.ann.token}"}
                    answer = http.get(scene.service.url + path, headers=token)
                    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
            load.until("fail", 4)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        load.until("ok", 20)
    asked = read_history(scene.history.path)
    assert {said["why"] for said in asked.values() if said["outcome"] != "ok"} <= {
        "database_unavailable",
        "overloaded",
        "outcome_unknown",
    }
    scene.settle()


@pytest.mark.slow
def test_an_embedded_service_asked_to_stop_under_load_leaves_no_process(on_its_own: Scene) -> None:
    """The last to use its server."""
    scene = on_its_own
    with scene.load(8):
        assert scene.service.stop(signal.SIGTERM) == 0
        assert processes_in(data_dir_of(scene.service)) == []
    scene.service = start(scene.service.log, NOSTRO_DATA_DIR=str(data_dir_of(scene.service)))
    try:
        scene.settle()
        assert scene.service.stop() == 0
    finally:
        scene.service.stop(signal.SIGKILL)
        if scene.service.process.stdout:
            scene.service.process.stdout.close()
