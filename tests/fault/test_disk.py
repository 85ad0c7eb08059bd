"""A disk that is full, or that fails: what was acknowledged stays, and the service comes back by itself.

Both need root: for a file system of the test's own, small enough to be filled, and to make a running server's
system calls fail.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from nostro.embedded.binaries import find_binaries
from nostro.embedded.sockets import choose_socket_dir
from tests.conftest import start
from tests.fault.embedded_process import until
from tests.fault.history import PATIENCE_S, read_history
from tests.fault.scene import Scene, a_scene, data_dir_of, processes_in, with_a_system_user

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can break a disk"),
]

DISK = 320 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def a_service_in(data_dir: Path, folder: Path) -> Iterator[Scene]:
    service = start(folder / "service.log", NOSTRO_DATA_DIR=str(data_dir))
    try:
        with_a_system_user(service)
        url = f"postgresql:///nostro?host={choose_socket_dir(data_dir.resolve())}&port=5432&user=postgres"
        with a_scene(service, lambda: service, url, folder) as scene:
            yield scene
        assert service.stop() == 0
        assert processes_in(data_dir) == []
    finally:
        service.stop(signal.SIGKILL)
        if service.process.stdout:
            service.process.stdout.close()


def test_when_tables_cannot_grow_everyone_is_told_at_once_and_money_can_be_looked_at(
    disk: Path, tmp_path: Path
) -> None:
    with a_service_in(disk / "var", tmp_path) as scene:
        with scene.load(21) as load, httpx2.Client(timeout=PATIENCE_S) as http:
            with filled(disk):
                load.until("fail", 20)
                balance = http.get(
                    f"{scene.service.url}/api/accounts/balance/{scene.accounts[0]}",
                    headers={"Authorization": f"Bearer {scene.ann.token}"},
                )
                assert balance.status_code == 200
            load.until("ok", 20)
        assert "storage_full" in refusals_in(scene)
        assert "outcome_unknown" not in refusals_in(scene)
        scene.settle()


def test_when_the_log_cannot_grow_the_database_comes_back_as_soon_as_it_can(disk: Path, tmp_path: Path) -> None:
    """A full log ends the server, which cannot recover before there is room for what it has to write then."""
    with a_service_in(disk / "var", tmp_path) as scene:
        with scene.load(22) as load:
            with filled(disk):
                psql = find_binaries().program("psql")
                subprocess.run(
                    [psql, scene.url, "-Xqc", "SELECT pg_switch_wal()"], check=False, capture_output=True
                )
                until(lambda: "postgres_restart_failed" in scene.service.log.read_text(), seconds=60)
                load.until("fail", 4)
            load.until("ok", 20)
        assert "database_unavailable" in refusals_in(scene)
        scene.settle()


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_a_log_that_was_not_synced_acknowledges_nothing(tmp_path: Path) -> None:
    """The server ends itself at the failed sync, and finds out when it recovers what reached the disk."""
    with a_service_in(tmp_path / "var", tmp_path) as scene:
        with scene.load(23) as load, failing(scene, "fdatasync:error=EIO:when=30"):
            load.until("ok", 100)
        assert "PANIC" in (data_dir_of(scene.service) / "pg.log").read_text()
        scene.settle()


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Inside, nothing more can be written."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(65536)):
            pass
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def failing(scene: Scene, what: str) -> Iterator[None]:
    """Inside, system calls of the server fail, each process's own as `what` says."""
    pids = processes_in(data_dir_of(scene.service) / "pg")
    attached = [argument for pid in pids for argument in ("-p", str(pid))]
    log = scene.history.path.with_name("strace")
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", str(log), "-e", f"inject={what}", *attached], stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: tracer.poll() is not None or all(map(is_traced, pids)))
        if tracer.poll() is not None:
            pytest.skip("nothing can be traced here")
        yield
    finally:
        tracer.terminate()
        tracer.wait()


def is_traced(pid: int) -> bool:
    try:
        return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True  # it has ended meanwhile


def refusals_in(scene: Scene) -> set[str]:
    return {said["why"] for said in read_history(scene.history.path).values() if said["outcome"] != "ok"}
