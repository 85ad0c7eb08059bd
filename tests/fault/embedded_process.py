"""A program of its own that owns or uses an embedded server, so that it can be killed; and how tests wait."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from nostro.embedded import Server
from nostro.embedded.binaries import find_binaries
from nostro.embedded.pidfile import read_pid_file
from nostro.embedded.privileges import choose_identity
from nostro.embedded.programs import spawn

SOURCE = Path(__file__).parents[2] / "src"

PROGRAM = """
import sys
from pathlib import Path
from nostro.embedded import EmbeddedError, EmbeddedPostgres

role, data_dir = sys.argv[1:]
try:
    with EmbeddedPostgres(Path(data_dir), role=role) as server:
        print("serving", server.owned, flush=True)
        sys.stdin.readline()
    print("stopped", flush=True)
except EmbeddedError as error:
    print("refused", error, flush=True)
"""


class Program:
    """Starts the server when made; ends it when told, or with the test."""

    def __init__(self, data_dir: Path, role: str = "service") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, role, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
        )

    def says(self) -> str:
        """Its next line."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def ask_to_stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.communicate()  # the end of its input is its sign to stop


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    """Wait until something holds; a failure, not a hang, when it never does."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"still not so after {seconds} s"
        time.sleep(0.01)


def query(server: Server, sql: str, database: str = "postgres") -> str:
    """What psql answers, one row per line; CalledProcessError when the server does not."""
    command = [server.bin_dir / "psql", server.dsn(user="postgres", database=database), "-XAtqc", sql]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


def serves(server: Server) -> bool:
    try:
        return query(server, "SELECT 1") == "1"
    except subprocess.CalledProcessError:
        return False


def postmaster(data_dir: Path) -> int:
    """The pid the present server has written down; 0 while there is none."""
    written = read_pid_file(data_dir / "pg")
    return written.pid if written else 0


@contextmanager
def unsupervised_server(data_dir: Path, socket_dir: Path) -> Iterator[int]:
    """A server on an existing data directory that no supervisor knows of; yields its pid when it is ready.

    Ended by somebody else it stays a zombie until the test is over, as the child of a careless parent would.
    """
    socket_dir.mkdir(exist_ok=True)
    binaries = find_binaries()
    command = [binaries.program("postgres"), "-D", str(data_dir / "pg"), "-c", "listen_addresses="]
    with (data_dir / "unsupervised.log").open("wb") as log:
        child = spawn(
            choose_identity(data_dir, data_dir / "pg", binaries),
            [*command, "-c", f"unix_socket_directories={socket_dir}"],
            directory=data_dir,
            death_signal=signal.SIGQUIT,
            log=log.fileno(),
        )
    try:
        until(lambda: (written := read_pid_file(data_dir / "pg")) and written.is_ready)
        yield child.pid
    finally:
        child.send_signal(signal.SIGQUIT)
        child.wait()
