"""One of several API processes (workers.py starts them): `python -m nostro.worker`.

What to do is one line of JSON on standard input: the settings, the database, the listening socket. The end of
that input is the order to stop, so that no worker outlives its parent, however that ended.
"""

import asyncio
import os
import signal
import socket
import sys

import msgspec
import uvloop

from nostro.app import serve_on
from nostro.ledger.counts import shared_counts
from nostro.settings import settings_handed_on
from nostro.workers import READY, Order


async def _work(order: Order, ready: int) -> None:
    loop = asyncio.get_running_loop()
    parent = sys.stdin.fileno()

    def stop() -> None:
        loop.remove_reader(parent)
        signal.raise_signal(signal.SIGTERM)

    def say_ready(_url: str) -> None:
        os.write(ready, READY)
        os.close(ready)

    loop.add_reader(parent, stop)
    await serve_on(
        order.dsn,
        settings_handed_on(order.settings),
        socket.socket(fileno=order.socket),
        say_ready,
        shared_counts(order.counts, order.number),
    )


def main() -> None:
    # Whatever else is printed goes where the logs go: nobody reads the pipe once the worker is ready.
    ready = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    line = sys.stdin.buffer.readline()
    if line:  # else the parent is gone already
        uvloop.run(_work(msgspec.json.decode(line, type=Order), ready))


if __name__ == "__main__":
    main()
