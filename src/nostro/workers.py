"""Several API processes on one port, and the parent that keeps them running.

    parent   owns the port, the embedded PostgreSQL and the signals; serves nobody itself
    worker   serves; `python -m nostro.worker`, told what to do by one line on its standard input

What must always hold:

* each worker has a listening socket of its own, among which the kernel spreads new connections evenly; one that
  ended takes its socket with it, so that nobody is left waiting at it;
* a worker that ends unasked is started again, at once and then with growing pauses
  (tests/fault/test_workers.py);
* no worker outlives its parent: the end of its standard input is its order to stop;
* workers share nothing but the database, where every token and every account is judged
  (tests/concurrency/test_workers.py).
"""

import asyncio
import contextlib
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog

log = structlog.get_logger(__name__)

READY = b"ready\n"
COMMAND = (sys.executable, "-m", "nostro.worker")
BACKLOG = 2048
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
# A worker that ran for this long did not end because of how it was started: the pauses begin anew.
STEADY_S = 60.0
# Longer than a worker takes to finish what it accepted: 10 s for answers, 60 s for bulk work.
LONGEST_GOODBYE_S = 90.0


class WorkersError(Exception):
    """One sentence for the operator: why the service could not be started."""


class Order(msgspec.Struct, frozen=True):
    """What a worker is told: the settings as its parent read them, the database, and its number from 0.

    `counts` and `socket` are descriptors that it inherits. There are secrets in here: it is never logged.
    """

    settings: dict[str, str]
    dsn: str
    counts: int
    socket: int = -1
    number: int = -1


class SharedPort:
    """A port that one socket was listening on alone, opened to more of them.

    Bound alone first, so that a port that is taken is still refused; only then is it shared, which the kernel
    allows to sockets of one user that all ask for it. One socket that does not listen holds the port for good.
    """

    def __init__(self, alone: socket.socket) -> None:
        self._family, self._where = alone.family, alone.getsockname()
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._held = self._bound()

    def _bound(self) -> socket.socket:
        bound = socket.socket(self._family)
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind(self._where)
        return bound

    def listening(self) -> socket.socket:
        one_more = self._bound()
        one_more.listen(BACKLOG)
        return one_more

    def close(self) -> None:
        self._held.close()


@dataclass
class Workers:
    """`count` processes that follow one `order` on one `port`; `on_ready` is called when all of them serve."""

    count: int
    order: Order
    port: SharedPort
    on_ready: Callable[[], None]
    command: Sequence[str] = COMMAND
    _running: dict[int, Process] = field(default_factory=dict)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until SIGINT or SIGTERM; then every worker has finished what it accepted.

        Raises `WorkersError` when one of them ends before all have been ready.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        working = asyncio.ensure_future(self._start_and_keep())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            for task in (working, stopping):
                task.cancel()
            await asyncio.wait({working, stopping})
            await self._end_all()
            self.port.close()

    async def _start_and_keep(self) -> None:
        numbers = range(self.count)
        if not all(await asyncio.gather(*(self._start(number) for number in numbers))):
            raise WorkersError("An API process ended before it was ready; its reason stands above.")
        self.on_ready()
        await asyncio.gather(*(self._keep(number) for number in numbers))

    async def _start(self, number: int) -> bool:
        """Start worker `number`; True once it serves, False when it ended before that."""
        with self.port.listening() as listening:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=PIPE,
                stdout=PIPE,
                pass_fds=(listening.fileno(), self.order.counts),
                start_new_session=True,  # Ctrl-C on a terminal is for the parent, which then tells them
            )
            order = msgspec.structs.replace(self.order, socket=listening.fileno(), number=number)
        self._running[number] = process
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(msgspec.json.encode(order) + b"\n")
            await process.stdin.drain()
        return await process.stdout.readline() == READY

    async def _keep(self, number: int) -> None:
        """Start worker `number` again whenever it has ended."""
        clock = asyncio.get_running_loop().time
        pause_s, began = 0.0, clock()
        while True:
            status = await self._running[number].wait()
            if clock() - began > STEADY_S:
                pause_s = 0.0
            log.error("worker_ended", worker=number + 1, status=status, pause_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(max(FIRST_PAUSE_S, 2 * pause_s), LONGEST_PAUSE_S)
            began = clock()
            if await self._start(number):
                log.info("worker_started", worker=number + 1)

    async def _end_all(self) -> None:
        for process in self._running.values():
            _tell(process, signal.SIGTERM)
        ends = [asyncio.ensure_future(process.wait()) for process in self._running.values()]
        if not ends:
            return
        _, late = await asyncio.wait(ends, timeout=LONGEST_GOODBYE_S)
        if late:
            log.error("workers_killed", count=len(late), after_s=LONGEST_GOODBYE_S)
            for process in self._running.values():
                _tell(process, signal.SIGKILL)
            await asyncio.wait(late)


def _tell(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
