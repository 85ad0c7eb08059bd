"""The embedded server through its life: first start, second start, crashes of it and of us, leftovers, stop."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nostro.embedded import EmbeddedError, EmbeddedPostgres
from nostro.embedded.processes import servers_in
from nostro.embedded.programs import Identity
from tests.fault.embedded_process import Program, postmaster, query, serves, unsupervised_server, until

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


def test_a_first_start_makes_a_cluster_with_checksums_that_speaks_utf8_and_listens_to_nobody_else(empty_dir):
    with EmbeddedPostgres(empty_dir) as server:
        shown = query(server, "SELECT name, setting FROM pg_settings").splitlines()
        settings = dict(line.split("|", 1) for line in shown)
        database = query(
            server, "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'template0'"
        )
    assert database == "UTF8"
    expected = {
        "data_checksums": "on",
        "listen_addresses": "",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "TimeZone": "UTC",
        "log_statement": "none",
        "log_parameter_max_length_on_error": "0",
    }
    assert {name: settings[name] for name in expected} == expected
    assert (empty_dir / "run").stat().st_mode & 0o777 == 0o700


def test_a_second_start_finds_what_the_first_one_stored(data_dir):
    with EmbeddedPostgres(data_dir) as server:
        query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    began = time.monotonic()
    with EmbeddedPostgres(data_dir) as server:
        assert time.monotonic() - began < 2
        assert query(server, "SELECT answer FROM kept") == "42"


def test_a_stopped_server_leaves_no_process_and_may_be_stopped_again(data_dir):
    postgres = EmbeddedPostgres(data_dir)
    postgres.start()
    assert servers_in(data_dir / "pg") != []
    postgres.stop()
    assert servers_in(data_dir / "pg") == []
    postgres.stop()
    with pytest.raises(EmbeddedError, match="was stopped"):
        postgres.start()


def test_settings_given_by_the_caller_win(data_dir):
    with EmbeddedPostgres(data_dir, settings={"work_mem": "7MB", "application_name": "it's \\ us"}) as server:
        assert query(server, "SHOW work_mem") == "7MB"
        shown = query(server, "SELECT reset_val FROM pg_settings WHERE name = 'work_mem'")
    assert shown == "7168"
    assert "application_name = 'it''s \\\\ us'" in (data_dir / "pg" / "nostro.conf").read_text()


def test_amounts_and_names_of_refused_rows_stay_out_of_the_log(data_dir):
    with EmbeddedPostgres(data_dir) as server:
        query(server, "CREATE TABLE secrets (word text PRIMARY KEY, amount int CHECK (amount > 0))")
        with pytest.raises(subprocess.CalledProcessError):
            query(server, "INSERT INTO secrets VALUES ('opensesame', -4711)")
    log = (data_dir / "pg.log").read_text()
    assert "violates check constraint" in log
    assert "opensesame" not in log
    assert "4711" not in log


def test_a_killed_postmaster_is_replaced_and_serves_within_five_seconds(data_dir):
    events: list[str] = []

    def note(event: str, facts: Mapping[str, Any]) -> None:
        events.append(event)
        raise RuntimeError("a listener that fails harms nobody")

    with EmbeddedPostgres(data_dir, on_event=note) as server:
        query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
        for times in (1, 2, 3):
            os.kill(postmaster(data_dir), signal.SIGKILL)
            until(lambda times=times: events.count("restarted") == times, seconds=5)
            assert query(server, "SELECT answer FROM kept") == "42"
    assert events == ["started", *["exited", "started", "restarted"] * 3]


def test_a_postmaster_killed_under_a_busy_backend_is_replaced_all_the_same(data_dir):
    """The orphaned backend computes and never looks up, holding the shared memory its successor needs."""
    with EmbeddedPostgres(data_dir) as server:
        busy = [server.bin_dir / "psql", server.dsn(user="postgres", database="postgres"), "-XAtqc"]
        loop = "DO $$ BEGIN FOR i IN 1..2000000000 LOOP NULL; END LOOP; END $$"
        with subprocess.Popen([*busy, loop], stderr=subprocess.DEVNULL) as client:
            until(lambda: query(server, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %'") == "1")
            killed = postmaster(data_dir)
            os.kill(killed, signal.SIGKILL)
            until(lambda: postmaster(data_dir) != killed and serves(server), seconds=5)
            client.wait()


def test_a_killed_backend_costs_a_moment_and_no_data(data_dir):
    with EmbeddedPostgres(data_dir) as server:
        query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
        backends = set(servers_in(data_dir / "pg")) - {postmaster(data_dir)}
        os.kill(min(backends), signal.SIGKILL)
        until(lambda: serves(server))
        assert query(server, "SELECT answer FROM kept") == "42"


def test_when_we_are_killed_the_server_ends_with_us_and_the_data_stays(data_dir):
    with Program(data_dir) as program:
        assert program.says() == "serving True"
        program.kill()
        until(lambda: servers_in(data_dir / "pg") == [])
    with EmbeddedPostgres(data_dir) as server:
        assert serves(server)


@pytest.mark.slow
def test_a_parent_killed_at_any_moment_of_its_first_start_leaves_a_directory_that_starts(empty_dir):
    for moment in range(6):
        place = empty_dir / str(moment)
        with Program(place) as program:
            time.sleep(0.1 + moment * 0.25)  # the moment is what is tried, not a condition
            program.kill()
        with EmbeddedPostgres(place) as server:
            assert serves(server)
        assert list(place.glob("pg.initdb-*")) == []


def test_a_server_left_behind_is_ended_before_ours_starts(data_dir):
    with (
        unsupervised_server(data_dir, socket_dir=data_dir / "run") as left,
        EmbeddedPostgres(data_dir) as server,
    ):
        assert left not in servers_in(data_dir / "pg")
        assert postmaster(data_dir) != left
        assert serves(server)


def test_a_server_somebody_started_by_hand_is_refused_and_left_alone(data_dir, tmp_path):
    with unsupervised_server(data_dir, socket_dir=tmp_path) as theirs:
        with pytest.raises(EmbeddedError, match=rf"did not start works on .* as process {theirs}"):
            EmbeddedPostgres(data_dir).start()
        assert theirs in servers_in(data_dir / "pg")


@pytest.mark.parametrize("reuse", ["nobody", "another program", "a zombie", "ourselves", "torn"])
def test_a_stale_pid_file_does_not_forbid_a_start(data_dir, reuse):
    with EmbeddedPostgres(data_dir):
        written = (data_dir / "pg" / "postmaster.pid").read_text()
    _, rest = written.split("\n", 1)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as other:
        if reuse in {"a zombie", "nobody"}:
            other.kill()
            os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        if reuse == "nobody":
            other.wait()
        pid = str(os.getpid() if reuse == "ourselves" else other.pid)
        (data_dir / "pg" / "postmaster.pid").write_text("" if reuse == "torn" else f"{pid}\n{rest}")
        with EmbeddedPostgres(data_dir) as server:
            assert serves(server)
        if reuse == "another program":
            assert other.poll() is None


def test_a_half_made_cluster_is_swept_away(empty_dir):
    unfinished = empty_dir / "pg.initdb-1"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(empty_dir) as server:
        assert serves(server)
    assert not unfinished.exists()


@pytest.mark.parametrize("name", ["long" * 25, "a, b"])
def test_a_path_that_does_not_fit_a_socket_moves_the_socket_not_the_data(tmp_path, finished_cluster, name):
    data_dir = tmp_path / name
    shutil.copytree(finished_cluster, data_dir / "pg")
    with EmbeddedPostgres(data_dir) as server:
        assert serves(server)
        assert data_dir not in server.socket_dir.parents
        assert server.socket_dir.stat().st_mode & 0o777 == 0o700
        with EmbeddedPostgres(data_dir, role="command") as used:
            assert used.socket_dir == server.socket_dir
    server.socket_dir.rmdir()
    assert servers_in(data_dir / "pg") == []


def test_a_path_with_blanks_and_quotes_is_an_ordinary_path(tmp_path, finished_cluster):
    data_dir = tmp_path / """a 'b' "c" %d"""
    shutil.copytree(finished_cluster, data_dir / "pg")
    with EmbeddedPostgres(data_dir) as server:
        assert serves(server)
        assert server.socket_dir == data_dir / "run"


def test_data_of_another_version_is_refused_in_one_sentence(data_dir):
    (data_dir / "pg" / "PG_VERSION").write_text("14\n")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 14, but .* NOSTRO_PG_BIN"):
        EmbeddedPostgres(data_dir).start()


def test_a_server_that_cannot_start_says_why_with_its_own_last_words(data_dir):
    with pytest.raises(EmbeddedError, match=r"does not start .*shared_buffers.*"):
        EmbeddedPostgres(data_dir, settings={"shared_buffers": "much"}).start()
    with EmbeddedPostgres(data_dir) as server:
        assert serves(server)


def test_a_stop_lets_a_start_give_up_that_waits_for_a_recovery(data_dir):
    """A standby that refuses readers recovers for ever, which is as long as a recovery can be."""
    (data_dir / "pg" / "standby.signal").touch()
    postgres = EmbeddedPostgres(data_dir, settings={"hot_standby": "off"})
    refused: list[str] = []
    starting = threading.Thread(target=lambda: refused.append(refusal(postgres)), daemon=True)
    starting.start()
    log = data_dir / "pg.log"
    until(lambda: log.exists() and "entering standby mode" in log.read_text())
    postgres.stop()
    starting.join()
    assert refused == ["PostgreSQL was stopped before it was ready."]


def refusal(postgres: EmbeddedPostgres) -> str:
    with pytest.raises(EmbeddedError) as refused:
        postgres.start()
    return str(refused.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(not DEBIAN, reason="needs programs that every user can reach: Debian's PostgreSQL")
def test_root_without_namespaces_becomes_an_unprivileged_user_and_gives_it_the_data(public_dir, monkeypatch):
    monkeypatch.setenv("NOSTRO_PG_BIN", str(DEBIAN[-1].parent))
    with EmbeddedPostgres(public_dir) as server:
        query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert (public_dir / "pg").stat().st_uid == 0
    monkeypatch.setattr("nostro.embedded.privileges.NAMESPACE", Identity("refused", 0, 0))
    with EmbeddedPostgres(public_dir) as server:
        assert query(server, "SELECT answer FROM kept") == "42"
        assert Path(f"/proc/{postmaster(public_dir)}").stat().st_uid == (public_dir / "pg").stat().st_uid != 0
    assert servers_in(public_dir / "pg") == []


@pytest.fixture
def public_dir() -> Iterator[Path]:
    """Not below tmp_path, which pytest keeps from other users."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        Path(place).chmod(0o755)
        yield Path(place) / "var"


@pytest.mark.slow
@pytest.mark.skipif(not DEBIAN, reason="Debian's PostgreSQL is not installed")
def test_debians_postgresql_serves_as_well(empty_dir, monkeypatch):
    monkeypatch.setenv("NOSTRO_PG_BIN", str(DEBIAN[-1].parent))
    with EmbeddedPostgres(empty_dir) as server:
        assert server.bin_dir == DEBIAN[-1].parent
        os.kill(postmaster(empty_dir), signal.SIGKILL)
        until(lambda: serves(server))
        assert query(server, "SHOW data_checksums") == "on"
