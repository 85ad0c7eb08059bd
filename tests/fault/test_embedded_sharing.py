"""One data directory and several processes: one owner, any number of guests, never two servers."""

import os
import threading
from pathlib import Path

import pytest

from nostro.embedded import EmbeddedError, EmbeddedPostgres
from nostro.embedded.lock import DataDirectoryLock
from nostro.embedded.processes import servers_in
from tests.fault.embedded_process import Program, postmaster, query, serves, until


def test_of_two_services_that_start_at_once_one_is_refused_and_told_who_is_first(data_dir):
    with Program(data_dir) as one, Program(data_dir) as other:
        said = {one.says(): one, other.says(): other}
        first = said["serving True"]
        assert f"refused Nostro is already running on {data_dir} as process {first.process.pid}." in said


def test_a_command_beside_a_service_uses_its_server_and_leaves_it_running(data_dir):
    with EmbeddedPostgres(data_dir) as server:
        query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
        before = postmaster(data_dir)
        with EmbeddedPostgres(data_dir, role="command") as used:
            assert not used.owned
            assert query(used, "SELECT answer FROM kept") == "42"
        assert postmaster(data_dir) == before
        assert serves(server)


def test_a_command_without_a_service_runs_the_server_for_itself_and_stops_it(data_dir):
    with EmbeddedPostgres(data_dir, role="command") as server:
        assert server.owned
        assert serves(server)
    assert servers_in(data_dir / "pg") == []


def test_a_command_that_started_the_server_waits_for_the_commands_that_use_it(data_dir):
    with Program(data_dir, "command") as owner:
        assert owner.says() == "serving True"
        with Program(data_dir, "command") as guest:
            assert guest.says() == "serving False"
            owner.ask_to_stop()
            until(lambda: waits_for_guests(data_dir))
            assert servers_in(data_dir / "pg") != []
            guest.ask_to_stop()
            assert guest.says() == "stopped"
        assert owner.says() == "stopped"


def waits_for_guests(data_dir: Path) -> bool:
    """The kernel lists whoever waits for a lock with an arrow, and its file by inode."""
    inode = (data_dir / "users.lock").stat().st_ino
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f":{inode} " in line for line in lines)


def test_a_service_waits_for_a_command_that_runs_the_server_for_itself(data_dir):
    with Program(data_dir, "command") as command:
        assert command.says() == "serving True"
        with Program(data_dir, "service") as service:
            command.ask_to_stop()
            assert command.says() == "stopped"
            assert service.says() == "serving True"


def test_a_service_does_not_wait_for_its_guests(data_dir):
    with Program(data_dir) as service:
        assert service.says() == "serving True"
        with Program(data_dir, "command") as guest:
            assert guest.says() == "serving False"
            service.ask_to_stop()
            assert service.says() == "stopped"


def test_when_the_owner_is_killed_a_waiting_command_takes_its_place(data_dir):
    owner = DataDirectoryLock(data_dir)
    assert owner.try_own("service")
    waiting = threading.Event()
    command = EmbeddedPostgres(data_dir, role="command", on_event=lambda *_: waiting.set())
    starting = threading.Thread(target=command.start, daemon=True)
    starting.start()
    assert waiting.wait(10)
    owner.close()
    starting.join()
    assert servers_in(data_dir / "pg") != []
    command.stop()


def test_a_stop_lets_a_start_give_up_that_waits_for_an_owner(data_dir):
    owner = DataDirectoryLock(data_dir)
    assert owner.try_own("service")
    waiting = threading.Event()
    command = EmbeddedPostgres(data_dir, role="command", on_event=lambda *_: waiting.set())
    refused: list[str] = []

    def start() -> None:
        try:
            command.start()
        except EmbeddedError as error:
            refused.append(str(error))

    starting = threading.Thread(target=start, daemon=True)
    starting.start()
    assert waiting.wait(10)
    command.stop()
    starting.join()
    owner.close()
    assert refused == ["PostgreSQL was stopped before it was started."]


def test_a_command_that_never_ends_is_named_to_the_service_that_waits(data_dir, monkeypatch):
    monkeypatch.setattr("nostro.embedded.postgres.PATIENCE_WITH_COMMANDS", 0.1)
    owner = DataDirectoryLock(data_dir)
    assert owner.try_own("command")
    with pytest.raises(EmbeddedError, match=rf"A command \(process {os.getpid()}\) still uses"):
        EmbeddedPostgres(data_dir).start()
    owner.close()


@pytest.mark.slow
def test_many_commands_at_once_share_one_server_and_leave_none(data_dir):
    """Each may become the owner, meet one that is stopping, or take over from one that has stopped."""
    programs = [Program(data_dir, "command") for _ in range(8)]
    for program in programs:
        program.ask_to_stop()
    for program in programs:
        said, _ = program.process.communicate(timeout=60)
        assert said.splitlines() in (["serving True", "stopped"], ["serving False", "stopped"])
