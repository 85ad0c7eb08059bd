"""Keeps one PostgreSQL running: starts it, waits for it, notices its end, starts it again, stops it.

One thread does all the forking and waiting. It has to be one, and to outlive the server: the kernel ends the
server when the thread that forked it dies (that is how a `kill -9` of our process leaves nothing behind), and
only the parent can reap it (a server that is dead but not reaped still answers to its pid, and forbids its
successor to start).
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from nostro.embedded.cluster import Cluster
from nostro.embedded.errors import EmbeddedError
from nostro.embedded.pidfile import read_pid_file
from nostro.embedded.programs import spawn
from nostro.embedded.remnants import clear_remnants
from nostro.embedded.serverlog import ServerLog
from nostro.embedded.sockets import accepts_connections, prepare_socket_dir
from nostro.embedded.writeback import start_writing

OnEvent = Callable[[str, Mapping[str, Any]], None]

LONGEST_PAUSE = 5.0  # seconds between two attempts to restart
LOG_CHECK_INTERVAL = 60.0  # seconds
WRITEBACK_INTERVAL = 1.0  # seconds; a transfer leaves some 600 bytes

# Fast shutdown first. Quit leaves recovery to the next start; kill is for a server that was stopped or hangs.
_STOPPING = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, None))


class Supervisor:
    """Call start() once and stop() any number of times, from any threads."""

    def __init__(self, cluster: Cluster, on_event: OnEvent) -> None:
        """`on_event` is called from the supervising thread, with a name and what belongs to it."""
        self._cluster = cluster
        self._on_event = on_event
        self._log = ServerLog(cluster.data_dir / "pg.log")
        self._child: subprocess.Popen[bytes] | None = None
        self._guard = threading.Lock()  # a child is started only while it is sure that stop() will see it
        self._stopping = threading.Event()
        self._first: Future[None] = Future()
        self._threads = [
            threading.Thread(target=self._supervise, name="nostro-postgres", daemon=True),
            self._housekeeper("log", LOG_CHECK_INTERVAL, self._log.trim),
            self._housekeeper("writeback", WRITEBACK_INTERVAL, lambda: start_writing(cluster.pgdata)),
        ]

    def start(self) -> None:
        """Return when the server serves, however long its recovery takes; EmbeddedError if it cannot."""
        for thread in self._threads:
            thread.start()
        self._first.result()

    def stop(self) -> None:
        """End the server and return when no process of it is left."""
        with self._guard:
            self._stopping.set()
        for number, patience in _STOPPING:
            self._signal(number)
            if self._joined(patience):
                break
        if self._child is not None:  # killed, it may have left orphans
            clear_remnants(self._cluster.data_dir, self._cluster.pgdata)

    def _joined(self, patience: float | None) -> bool:
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(patience)
        return not any(thread.is_alive() for thread in self._threads)

    def _signal(self, number: signal.Signals) -> None:
        with self._guard:
            if self._child is not None:
                self._child.send_signal(number)

    def _supervise(self) -> None:
        """The thread's whole life."""
        try:
            if self._cluster.prepare():
                self._tell("initialised", version=self._cluster.binaries.version)
            self._launch()
        except BaseException as error:  # noqa: BLE001 - whatever it is, start() must not wait for ever
            self._end_child()
            self._first.set_exception(error)
            return
        self._first.set_result(None)
        while self._reap() and self._restart():
            pass

    def _launch(self) -> None:
        """Start a server and wait until it serves; EmbeddedError with its last words if it ends instead."""
        began = time.monotonic()
        clear_remnants(self._cluster.data_dir, self._cluster.pgdata)
        # At a restart, too: among temporary files, somebody may have tidied it away since.
        prepare_socket_dir(self._cluster.socket_dir, self._cluster.identity)
        written = self._log.size()
        child = self._spawn()
        for pause in _growing_pauses():
            if child.poll() is not None:
                break
            if self._serves(child.pid):
                self._tell("started", pid=child.pid, seconds=round(time.monotonic() - began, 3))
                return
            time.sleep(pause)
        if self._stopping.is_set():
            raise EmbeddedError("PostgreSQL was stopped before it was ready.")
        last_words = self._log.tail(written) or f"exit status {child.returncode}"
        raise EmbeddedError(f"PostgreSQL does not start ({self._log.path} has more): {last_words}")

    def _serves(self, pid: int) -> bool:
        """Ask only when the server says that it is ready: it would log every refused attempt."""
        written = read_pid_file(self._cluster.pgdata)
        if written is None or written.pid != pid or not written.is_ready:
            return False
        return accepts_connections(self._cluster.socket_dir)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._guard:
            if self._stopping.is_set():
                raise EmbeddedError("PostgreSQL was stopped before it was started.")
            log = self._log.open()
            try:
                self._cluster.identity.own(self._log.path)
                self._child = spawn(
                    self._cluster.identity,
                    self._cluster.command(),
                    directory=self._cluster.data_dir,
                    death_signal=signal.SIGINT,
                    log=log,
                )
            finally:
                os.close(log)
            return self._child

    def _reap(self) -> bool:
        """Wait for the server's end; True if nobody had asked for it."""
        assert self._child is not None
        status = self._child.wait()
        if self._stopping.is_set():
            return False
        self._tell("exited", pid=self._child.pid, status=status)
        return True

    def _restart(self) -> bool:
        """Try until a server serves again (True) or stop() is called: at once, then with growing pauses."""
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                self._launch()
            except (EmbeddedError, OSError) as error:
                if not self._stopping.is_set():
                    self._tell("restart_failed", reason=str(error))
                pause = min(max(0.5, pause * 2), LONGEST_PAUSE)
            else:
                self._tell("restarted")
                return True
        return False

    def _end_child(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def _housekeeper(self, name: str, interval: float, work: Callable[[], None]) -> threading.Thread:
        def keep() -> None:
            while True:
                with suppress(OSError):  # a full disk, for example: this is the least of its problems
                    work()
                if self._stopping.wait(interval):
                    return

        return threading.Thread(target=keep, name=f"nostro-postgres-{name}", daemon=True)

    def _tell(self, event: str, **facts: object) -> None:
        with suppress(Exception):  # whatever the listener does, the server is looked after
            self._on_event(event, facts)


def _growing_pauses() -> Iterator[float]:
    """10 ms, while a warm start is about to be over, up to a quarter second, for a long recovery."""
    pause = 0.01
    while True:
        yield pause
        pause = min(pause * 1.05, 0.25)
