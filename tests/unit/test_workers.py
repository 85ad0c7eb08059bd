"""The parent of several processes: it waits for all, starts again what ended, shares its port with no other."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nostro.workers import Order, SharedPort, Workers, WorkersError

pytestmark = pytest.mark.anyio

# A worker as far as its parent can tell: it writes down who it is, says that it is ready, and obeys.
_BEGIN = "import os, sys; sys.stdin.readline(); open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); "
_OBEDIENT = _BEGIN + "print('ready', flush=True); sys.stdin.read()"
_BROKEN = _BEGIN + "sys.exit(3)"
_SHORT_LIVED = _BEGIN + "print('ready', flush=True)"


def alone() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def workers(script: str, notes: Path, ready: asyncio.Event, count: int = 2) -> Workers:
    notes.touch()
    with alone() as first:
        port = SharedPort(first)
    return Workers(
        count,
        Order({}, "", counts=sys.stderr.fileno()),
        port,
        ready.set,
        (sys.executable, "-c", script, str(notes)),
    )


def started(notes: Path) -> list[str]:
    return notes.read_text().split()


def is_gone(pid: str) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.01)


async def test_all_are_ready_before_the_parent_says_so_and_end_when_it_is_told_to(tmp_path: Path) -> None:
    ready, notes = asyncio.Event(), tmp_path / "notes"
    running = asyncio.ensure_future(workers(_OBEDIENT, notes, ready).run())
    async with asyncio.timeout(30):
        await ready.wait()
        assert len(started(notes)) == 2
        os.kill(os.getpid(), signal.SIGTERM)
        await running
    assert all(is_gone(pid) for pid in started(notes))


async def test_one_that_ends_before_it_is_ready_ends_the_start(tmp_path: Path) -> None:
    ready = asyncio.Event()
    with pytest.raises(WorkersError):
        await workers(_BROKEN, tmp_path / "notes", ready).run()
    assert not ready.is_set()


async def test_one_that_ends_later_is_started_again_and_again(tmp_path: Path) -> None:
    ready, notes = asyncio.Event(), tmp_path / "notes"
    running = asyncio.ensure_future(workers(_SHORT_LIVED, notes, ready, count=1).run())
    await until(lambda: len(started(notes)) == 4)
    assert len(set(started(notes))) == 4
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_port_is_shared_only_by_those_it_was_opened_to() -> None:
    with alone() as first:
        where = first.getsockname()
        port = SharedPort(first)
        one, other = port.listening(), port.listening()
    try:
        with pytest.raises(OSError, match="in use"):
            socket.create_server(where)
        for listening in (one, other):
            listening.setblocking(False)
        for _ in range(64):
            socket.create_connection(where).close()
        assert _waiting_at(one) + _waiting_at(other) == 64
    finally:
        for closable in (one, other, port):
            closable.close()


def _waiting_at(listening: socket.socket) -> int:
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listening.accept()[0].close()
            count += 1
    assert count > 0
    return count
