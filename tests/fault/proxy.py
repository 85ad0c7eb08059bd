"""A proxy between a service and PostgreSQL that loses messages exactly where a test says.

It listens on a socket in a directory of its own, like a server's, and reads PostgreSQL's protocol only as far
as it must: every message after the first is one letter, four bytes of length, and the rest. A COMMIT is the
query of that name on the way there and the completion of that name on the way back. The one statement of the
committer's short way is a COMMIT, too: on the way there it is bound under the name it was prepared as, and it
is done when the server is ready for the next, unless it told of an error first.
"""

import asyncio
import contextlib
import shutil
import struct
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_COMMIT = b"COMMIT\x00"
_ONE_STATEMENT = b"refuse_stale()"


@dataclass
class _Line:
    """What is known of one connection: its one statement's name, and whether that is under way."""

    prepared: bytes | None = None
    writing: bool = False


class Fate(Enum):
    """What becomes of the next COMMIT, or of the one statement that is its own."""

    DONE = auto()
    REQUEST_LOST = auto()  # the connection is cut before the server sees it
    ANSWER_LOST = auto()  # the server does it, and the connection is cut before the client hears of it


class Proxy:
    """`fates` are used up one per COMMIT. The rest is a state: set it, and it holds until it is set again."""

    def __init__(self, url: str) -> None:
        asked = parse_qs(urlsplit(url).query)
        self._upstream = Path(asked["host"][0]) / f".s.PGSQL.{asked['port'][0]}"
        self._directory = Path(tempfile.mkdtemp(prefix="nostro-proxy-"))
        self.url = url.replace(url.partition("host=")[2].partition("&")[0], str(self._directory))
        self._socket = self._directory / self._upstream.name
        self._writers: set[asyncio.StreamWriter] = set()
        self._stranded: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.fates: list[Fate] = []
        self.commits = 0
        self.after_commit: Callable[[], None] = lambda: None  # called when a fate other than DONE has struck
        self.delay_s = 0.0
        self.refuses = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_unix_server(self._serve, self._socket)
        try:
            yield self
        finally:
            server.close()
            self.heal()
            self.cut()
            await server.wait_closed()
            while self._serving:
                await asyncio.wait(self._serving)
            shutil.rmtree(self._directory)

    def cut(self) -> None:
        """Cut every connection there is; new ones are served."""
        for writer in list(self._writers):
            writer.transport.abort()

    def blackhole(self) -> None:
        """Deliver nothing any more, on old connections or new; nobody is told."""
        self._flowing.clear()

    def strand(self) -> None:
        """Deliver nothing any more on the connections there are; new ones are served."""
        self._stranded = set(self._writers)

    def go_away(self) -> None:
        """Cut every connection and refuse new ones."""
        self.refuses = True
        self.cut()

    def heal(self) -> None:
        self.refuses = False
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        self._writers.add(writer)
        try:
            if not self.refuses:
                await self._connect(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            there_reader, there = await asyncio.open_unix_connection(self._upstream)
            self._writers.add(there)
            line = _Line()
            ways = [
                asyncio.create_task(self._there(reader, there, line)),
                asyncio.create_task(self._back(there_reader, writer, line)),
            ]
            try:
                # Whichever way ends first, with the client or the server gone or a COMMIT lost, ends both.
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                there.transport.abort()
                self._writers.discard(there)
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: _Line) -> None:
        (length,) = struct.unpack("!I", await reader.readexactly(4))
        await self._deliver(writer, struct.pack("!I", length) + await reader.readexactly(length - 4))
        while True:
            letter, message = await _message(reader)
            if letter == b"P" and _ONE_STATEMENT in message:
                line.prepared = message[5:].split(b"\x00")[0]
            line.writing |= letter == b"B" and message[5:].split(b"\x00")[1] == line.prepared
            if (letter == b"Q" and message[5:] == _COMMIT) or (letter == b"B" and line.writing):
                self.commits += 1
                if self.fates and self.fates[0] is Fate.REQUEST_LOST:
                    self._strike()
                    return
            await self._deliver(writer, message)

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: _Line) -> None:
        while True:
            letter, message = await _message(reader)
            done = (letter == b"C" and message[5:] == _COMMIT) or (letter == b"Z" and line.writing)
            line.writing &= letter not in {b"E", b"Z"}
            if done and self.fates:
                if self.fates[0] is Fate.ANSWER_LOST:
                    self._strike()
                    return
                self.fates.pop(0)
            await self._deliver(writer, message)

    def _strike(self) -> None:
        self.fates.pop(0)
        self.after_commit()

    async def _deliver(self, writer: asyncio.StreamWriter, message: bytes) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._flowing.wait()
        if writer in self._stranded:
            return
        writer.write(message)
        await writer.drain()


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The next message: its letter, and all of it."""
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)


@contextmanager
def in_a_thread(proxy_url: str) -> Iterator[tuple[Proxy, Callable[[Callable[[], None]], None]]]:
    """A proxy on a loop of its own, for services that are processes; what it is to do is called over there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy")
    thread.start()

    async def make() -> tuple[Proxy, contextlib.AbstractAsyncContextManager[Proxy]]:
        proxy = Proxy(proxy_url)
        opened = proxy.open()
        return await opened.__aenter__(), opened

    def call(action: Callable[[], None]) -> None:
        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), loop).result()

    proxy, opened = asyncio.run_coroutine_threadsafe(make(), loop).result()
    try:
        yield proxy, call
    finally:
        asyncio.run_coroutine_threadsafe(opened.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
