"""EmbeddedPostgres: what the rest of Nostro sees. Decides who starts the server and who only uses it."""

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode

from nostro.embedded.binaries import Binaries, find_binaries
from nostro.embedded.cluster import Cluster
from nostro.embedded.errors import EmbeddedError
from nostro.embedded.lock import DataDirectoryLock, Role
from nostro.embedded.pidfile import read_pid_file
from nostro.embedded.privileges import choose_identity
from nostro.embedded.sockets import PORT, accepts_connections, choose_socket_dir
from nostro.embedded.supervisor import OnEvent, Supervisor

PATIENCE_WITH_COMMANDS = 60.0  # seconds a service waits for a command that runs the server for itself
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Server:
    """A server that accepts connections. `owned`: ours to stop; otherwise another Nostro process runs it."""

    socket_dir: Path
    port: int
    data_dir: Path
    version: str
    owned: bool
    bin_dir: Path

    def dsn(self, *, user: str, database: str) -> str:
        """An address for asyncpg, psql and everything built on libpq."""
        where = urlencode({"host": str(self.socket_dir), "port": self.port, "user": user}, quote_via=quote)
        return f"postgresql:///{quote(database, safe='')}?{where}"


class EmbeddedPostgres:
    """The embedded server of one data directory.

    role="service" owns the server or refuses. role="command" uses the server of whoever owns it, and becomes
    a temporary owner when nobody does. All calls block; start() and stop() may come from different threads.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        role: Role = "service",
        on_event: OnEvent | None = None,
    ) -> None:
        """`settings` are PostgreSQL's own and win over ours. Events: waiting, initialised, started, exited,
        restarted, restart_failed."""
        self._data_dir = data_dir
        self._settings = dict(settings or {})
        self._role = role
        self._on_event = on_event or _ignore
        self._stopped = threading.Event()
        self._start_or_release = threading.Lock()  # a stop() in another thread lets start() give up first
        self._lock: DataDirectoryLock | None = None
        self._supervisor: Supervisor | None = None
        self._server: Server | None = None

    def start(self) -> Server:
        """Return once the server accepts connections; EmbeddedError says in one sentence why it cannot.

        Once only, and not after stop(): a stop that overtakes its start is not forgotten.
        """
        with self._start_or_release:
            try:
                self._server = self._start()
            except OSError as error:
                self._release()
                raise EmbeddedError(f"The data directory {self._data_dir} cannot be used: {error}.") from error
            except BaseException:
                self._release()
                raise
            return self._server

    def stop(self) -> None:
        """Stop what we started and keep the data. May be called at any time and any number of times.

        A command that owns the server waits here for the commands that still use it.
        """
        self._stopped.set()
        supervisor = self._supervisor
        if supervisor is not None and self._server is None:
            supervisor.stop()  # start() may be waiting for a long recovery
        with self._start_or_release:
            try:
                self._wait_for_guests()
            finally:
                self._release()

    def _release(self) -> None:
        supervisor, self._supervisor = self._supervisor, None
        lock, self._lock = self._lock, None
        try:
            if supervisor is not None:
                supervisor.stop()
        finally:
            if lock is not None:  # after the server: whoever gets it may start one
                lock.close()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> Server:
        self._pause(0)
        binaries = find_binaries()
        data_dir = _made(self._data_dir)
        self._lock = DataDirectoryLock(data_dir)
        if self._role == "service":
            self._claim(self._lock, data_dir)
        else:
            used = self._use_or_claim(self._lock, data_dir)
            if used is not None:
                return _server(data_dir, used, binaries, owned=False)
        cluster = self._cluster(data_dir, binaries)
        self._supervisor = Supervisor(cluster, self._on_event)
        self._supervisor.start()
        return _server(data_dir, cluster.socket_dir, binaries, owned=True)

    def _cluster(self, data_dir: Path, binaries: Binaries) -> Cluster:
        identity = choose_identity(data_dir, data_dir / "pg", binaries)
        return Cluster(data_dir, choose_socket_dir(data_dir), binaries, identity, self._settings)

    def _claim(self, lock: DataDirectoryLock, data_dir: Path) -> None:
        """Own the directory; a second service is refused at once, a passing command is waited for."""
        until = time.monotonic() + PATIENCE_WITH_COMMANDS
        while not lock.try_own("service"):
            owner = lock.owner()
            if owner and owner.role == "service" and owner.is_alive():
                raise EmbeddedError(f"Nostro is already running on {data_dir} as process {owner.pid}.")
            if time.monotonic() > until:
                who = f"process {owner.pid}" if owner else "another process"
                raise EmbeddedError(f"A command ({who}) still uses {data_dir}; wait for it, or end it.")
            self._pause(_POLL)

    def _use_or_claim(self, lock: DataDirectoryLock, data_dir: Path) -> Path | None:
        """The socket directory of a running server, or None when we became the owner.

        Without a limit: while the owner lives, its server may be recovering; when it dies, we take its place.
        """
        told = False
        while not lock.try_own("command"):
            if lock.try_use():
                written = read_pid_file(data_dir / "pg")
                ready_at = written.socket_dir if written and written.is_ready else None
                if ready_at and accepts_connections(ready_at):
                    return ready_at
            if not told:
                owner = lock.owner()
                self._on_event("waiting", {"owner": owner.pid if owner else None})
                told = True
            self._pause(_POLL)
        lock.stop_using()
        return None

    def _wait_for_guests(self) -> None:
        if self._lock and self._server and self._server.owned and self._role == "command":
            self._lock.wait_for_guests()

    def _pause(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise EmbeddedError("PostgreSQL was stopped before it was started.")


def _made(data_dir: Path) -> Path:
    """Absolute and without links: its path decides the socket's name, which every process must agree on."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    resolved = data_dir.resolve()
    if not os.access(resolved, os.W_OK | os.X_OK):
        raise EmbeddedError(f"The data directory {resolved} is not writable for this user.")
    return resolved


def _server(data_dir: Path, socket_dir: Path, binaries: Binaries, *, owned: bool) -> Server:
    return Server(socket_dir, PORT, data_dir, binaries.version, owned, binaries.bin_dir)


def _ignore(event: str, facts: Mapping[str, Any]) -> None:
    """Nobody listens."""
