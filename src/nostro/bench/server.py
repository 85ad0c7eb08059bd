"""The server under measurement: one that already runs, or one of our own on a scratch directory, stopped
with SIGTERM.

A scratch server inherits none of the ledger's settings from the environment: it must not write to
somebody's database and must not send mail. It keeps the path to PostgreSQL's binaries, and gets the
settings that are measured.
"""

import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nostro.bench.options import BenchError, BenchOptions, loopback_address
from nostro.bench.progress import Progress

_READY = "NOSTRO READY "
_READY_SECONDS = 180.0
_STOP_SECONDS = 60.0
_KEPT = "NOSTRO_PG_BIN"
_DROPPED = ("JWT_SECRET", "PORT", "HOST", "EMAIL_", "SMTP_", "CLIENT_", "REFRESH_TOKEN", "NOSTRO_")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send, and what is known about the machinery behind it."""

    url: str
    address: str
    port: int
    data_dir: Path | None
    pid: int | None


@contextmanager
def target(options: BenchOptions, progress: Progress) -> Iterator[Target]:
    if options.url is not None:
        address, port = loopback_address(options.url)
        yield Target(options.url, address, port, options.data_dir, None)
        return
    with _scratch_directory(options, progress) as data_dir:
        progress.begin("server and PostgreSQL start", 1)
        process, log = _start(options, data_dir)
        try:
            url = _wait_until_ready(process, log)
            address, port = loopback_address(url)
            progress.end(url)
            yield Target(url, address, port, data_dir, process.pid)
        finally:
            _stop(process, data_dir)


@contextmanager
def _scratch_directory(options: BenchOptions, progress: Progress) -> Iterator[Path]:
    parent = options.scratch_dir
    path = Path(tempfile.mkdtemp(prefix="nostro-bench-", dir=parent))
    try:
        yield path
    finally:
        if options.keep_scratch:
            progress.say(f"The data is kept in {path}.")
        else:
            shutil.rmtree(path, ignore_errors=True)


def _environment(options: BenchOptions) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name == _KEPT or not name.startswith(_DROPPED)}
    if paths := kept.get("PYTHONPATH"):
        # The server starts in its own directory, so that no .env file of this one is read.
        kept["PYTHONPATH"] = os.pathsep.join(
            str(Path(path).absolute()) for path in paths.split(os.pathsep) if path
        )
    return kept | dict(options.server_settings)


def _start(options: BenchOptions, data_dir: Path) -> tuple[subprocess.Popen[str], Path]:
    log = data_dir / "bench-server.log"
    command = [
        *options.server_command,
        "serve",
        "--port",
        "0",
        "--data-dir",
        str(data_dir),
        *options.server_arguments,
    ]
    with log.open("w") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own server, no shell
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=data_dir,
            env=_environment(options),
            start_new_session=True,  # Ctrl-C stops the benchmark, which then stops the server in order
        )
    return process, log


def _wait_until_ready(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    lines: queue.Queue[str | None] = queue.Queue(maxsize=1000)
    threading.Thread(target=_read_on, args=(process.stdout, lines), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=_READY_SECONDS)
        except queue.Empty:
            raise BenchError(f"The server was not ready within {_READY_SECONDS:.0f} s. {_tail(log)}") from None
        if line is None:
            raise BenchError(f"The server ended before it was ready. {_tail(log)}")
        if line.startswith(_READY):
            return line.removeprefix(_READY).strip()


def _read_on(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    """Read to the end, wanted or not: a full pipe would stop the server."""
    with stream:
        for line in stream:
            with suppress(queue.Full):
                lines.put_nowait(line)
    lines.put(None)


def _tail(log: Path) -> str:
    return "Its last words: " + log.read_text("utf-8", "replace").strip()[-1500:]


def _stop(process: subprocess.Popen[str], data_dir: Path) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        _stop_postgres(data_dir)


def _stop_postgres(data_dir: Path) -> None:
    """A killed server leaves its PostgreSQL behind; it is ours, on our scratch directory."""
    for pid_file in data_dir.glob("*/postmaster.pid"):
        with suppress(OSError, ValueError):
            os.kill(int(pid_file.read_text("utf-8").split("\n", 1)[0]), signal.SIGQUIT)


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    exit_status: int | None
    """None: it had not ended in time."""
    answer: Any
    """What it printed as JSON; its text when that was not JSON."""
    errors: str


def command(options: BenchOptions, data_dir: Path, *words: str) -> CommandAnswer:
    """Run a command of the ledger beside the service, on the same data."""
    try:
        done = subprocess.run(  # noqa: S603 - our own program, no shell
            [*options.server_command, *words, "--data-dir", str(data_dir), "--json"],
            capture_output=True,
            text=True,
            cwd=data_dir,
            env=_environment(options),
            timeout=options.command_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return CommandAnswer(None, "", f"it had not ended after {options.command_seconds:g} s")
    try:
        answer: Any = json.loads(done.stdout)
    except ValueError:
        answer = done.stdout.strip()[-2000:]
    return CommandAnswer(done.returncode, answer, done.stderr.strip()[-1000:])
