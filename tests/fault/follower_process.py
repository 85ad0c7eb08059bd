"""A process that follows the journal of a test's database, to be killed, stopped and woken.

Forked from a server that has imported what takes long, so that it is at work within a moment.
"""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from multiprocessing.context import ForkServerProcess
from typing import Any, NamedTuple, Self

import httpx2

from nostro.followers.frame import ClaimedDelivery, Delivery, Event, Later, SetAside
from nostro.followers.running import following
from nostro.ledger.head import JournalWatch
from nostro.ledger.recent import Recent
from nostro.logs import configure_logs
from nostro.store.database import Connection, Database
from nostro.store.queries import SQL

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["httpx2", "nostro.followers.running", "nostro.logs"])

GOODBYE = 410


class Plan(NamedTuple):
    """What a process follows, and how. `changes`: parts of queries to replace, to show what they are for."""

    dsn: str
    port: int
    targets: tuple[str, ...] = ("all",)
    ordered: bool = False
    patience_s: float = 0.5
    retry_schedule_s: tuple[float, ...] = (0.05,) * 50
    senders: int = 8
    batch: int = 20
    deadly: str = ""
    changes: tuple[tuple[str, str, str], ...] = ()


class Processes:
    """Use as `with`: whatever was started is killed at the end."""

    def __init__(self) -> None:
        self._started = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    def start(self, plan: Plan) -> ForkServerProcess:
        process = _CONTEXT.Process(target=_run, args=(plan,))
        process.start()
        self._started.callback(end, process)
        return process


def end(process: ForkServerProcess) -> None:
    """SIGKILL, also for one that is stopped; afterwards it is gone."""
    process.kill()
    process.join()


def send_signal(process: ForkServerProcess, number: signal.Signals) -> None:
    assert process.pid is not None
    os.kill(process.pid, number)


def _run(plan: Plan) -> None:
    configure_logs("error")
    for name, before, after in plan.changes:
        assert before in SQL[name]
        SQL[name] = SQL[name].replace(before, after)
    with suppress(KeyboardInterrupt):
        asyncio.run(_follow(plan))


async def _follow(plan: Plan) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with (
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{plan.port}", timeout=30) as http,
        Database(plan.dsn, pool_size=1) as database,
        JournalWatch(database) as watch,
    ):
        follower = _Ordered(plan, http) if plan.ordered else _Plain(plan, http)
        async with following(database, [follower], watch, Recent()):
            await stopping.wait()


class _Plain:
    name = "plain"
    start = 0

    def __init__(self, plan: Plan, http: httpx2.AsyncClient) -> None:
        self._plan = plan
        self._http = http
        self.patience_s = plan.patience_s
        self.retry_schedule_s = plan.retry_schedule_s
        self.senders = plan.senders
        self.batch = plan.batch

    async def deliveries(self, _: Connection, events: Sequence[Event]) -> list[Delivery]:
        return [
            Delivery(event.position, event.id, target, {"type": event.type})
            for event in events
            for target in self._plan.targets
        ]

    async def send(self, delivery: ClaimedDelivery) -> None:
        if delivery.target == self._plan.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        status = await _post(self._http, delivery._asdict())
        if status == GOODBYE:
            raise SetAside(f"answered {status}")
        if status >= 300:
            raise Later(f"answered {status}")


class _Ordered:
    name = "ordered"
    start = 0

    def __init__(self, plan: Plan, http: httpx2.AsyncClient) -> None:
        self._http = http
        self.patience_s = plan.patience_s
        self.batch = plan.batch

    async def publish(self, events: Sequence[Event]) -> None:
        for event in events:
            given = {"id": event.id, "position": event.position, "target": "all", "attempt": 1}
            status = await _post(self._http, given)
            if status >= 300:
                raise Later(f"answered {status}")


async def _post(http: httpx2.AsyncClient, given: dict[str, Any]) -> int:
    try:
        return (await http.post("/", json=given | {"process": os.getpid()})).status_code
    except httpx2.TransportError as error:
        raise Later(type(error).__name__) from error
