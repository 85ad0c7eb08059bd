"""Several API processes: one that is killed is started again, none outlives its parent, and nothing is lost."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.fault.scene import Scene, a_scene, with_a_system_user

pytestmark = pytest.mark.slow

WORKERS = 2


def workers_of(service: Service) -> list[int]:
    task = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
    return [int(pid) for pid in task.read_text().split()]


def is_there(pid: int) -> bool:
    """False for what is gone, and for what has ended and only waits to be counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.02)


@pytest.fixture
def scene(database_url: str, start_service: Callable[..., Service], tmp_path: Path) -> Iterator[Scene]:
    def start() -> Service:
        return start_service(NOSTRO_WORKERS=str(WORKERS))

    with a_scene(with_a_system_user(start()), start, database_url, tmp_path) as scene:
        yield scene


def test_a_worker_killed_under_load_is_started_again_and_nothing_is_lost(scene: Scene) -> None:
    chance = random.Random(11)
    with scene.load(11) as load:
        for _ in range(3):
            wait_for(lambda: len(workers_of(scene.service)) == WORKERS)
            victim, *others = chance.sample(workers_of(scene.service), WORKERS)
            load.until("ok", chance.randint(1, 60))
            os.kill(victim, signal.SIGKILL)
            load.until("ok", 20)
            assert set(others) <= set(workers_of(scene.service))
        wait_for(lambda: len(workers_of(scene.service)) == WORKERS)
    scene.settle()
    assert scene.service.stop() == 0


def test_several_processes_asked_to_stop_under_load_finish_what_they_accepted(scene: Scene) -> None:
    with scene.load(12):
        workers = workers_of(scene.service)
        assert scene.service.stop(signal.SIGTERM) == 0
        assert not [pid for pid in workers if is_there(pid)]
        scene.service = scene.again()
    scene.settle()


def test_workers_end_when_their_parent_is_killed(scene: Scene) -> None:
    with scene.load(13):
        workers = workers_of(scene.service)
        assert len(workers) == WORKERS
        scene.service.stop(signal.SIGKILL)
        wait_for(lambda: not [pid for pid in workers if is_there(pid)])
        scene.service = scene.again()
    scene.settle()
