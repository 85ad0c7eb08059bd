"""HTTP/1.1 as far as a load generator needs it: one request in flight per kept-alive connection, answers
with a length.

The generator shares the processor with the server it measures, so this does no more than it must: requests
are byte strings made elsewhere, of an answer only the status, the length and (when asked for) the body are
looked at.
"""

import asyncio
from typing import Protocol, cast

MAX_ANSWER_BYTES = 4 * 1024 * 1024
_END_OF_HEAD = b"\r\n\r\n"


class WireError(Exception):
    """The peer does not speak the HTTP this generator understands."""


def request(method: str, path: str, host: str, body: bytes | None = None, token: str | None = None) -> bytes:
    """A whole request. With a body it is JSON."""
    return head(method, path, host, None if body is None else len(body), token) + (body or b"")


def head(method: str, path: str, host: str, body_bytes: int | None, token: str | None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body_bytes is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {body_bytes}"]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


class AnswerReader:
    """Puts one answer together from whatever pieces the socket delivers."""

    __slots__ = ("_body_at", "_pieces", "_whole", "status")

    def __init__(self) -> None:
        self.status = 0
        self._pieces = b""
        self._whole = b""
        self._body_at = 0

    @property
    def body(self) -> bytes:
        return self._whole[self._body_at :]

    def starts_with(self, beginning: bytes) -> bool:
        """Whether the body does."""
        return self._whole.startswith(beginning, self._body_at)

    def feed(self, piece: bytes) -> bool:
        """True once the answer is complete; `status` and `body` are then its own until the next call."""
        whole = self._pieces + piece if self._pieces else piece
        end = whole.find(_END_OF_HEAD)
        if end >= 0:
            body_at = end + 4
            missing = body_at + _content_length(whole, end) - len(whole)
            if missing == 0:
                self._pieces = b""
                self._whole = whole
                self._body_at = body_at
                self.status = int(whole[9:12])
                return True
            if missing < 0:
                raise WireError("more bytes came than the answer announced")
        if len(whole) > MAX_ANSWER_BYTES:
            raise WireError(f"an answer is longer than {MAX_ANSWER_BYTES} bytes")
        self._pieces = whole
        return False


def _content_length(whole: bytes, end: int) -> int:
    at = whole.find(b"\r\ncontent-length:", 0, end)
    if at < 0:
        at = whole[:end].lower().find(b"\r\ncontent-length:")
    if at < 0:
        if whole[9:12] in {b"204", b"304"}:
            return 0
        raise WireError("an answer has no Content-Length")
    stop = whole.find(b"\r", at + 2, end)
    length = whole[at + 17 : stop if stop >= 0 else end].strip()
    if not length.isdigit():
        raise WireError("an answer has a Content-Length that is not a number")
    return int(length)


class Caller(Protocol):
    """Who a connection belongs to."""

    def answered(self, line: "Line", status: int) -> None: ...
    def lost(self, line: "Line", reason: str) -> None: ...


class Line(asyncio.Protocol):
    """One connection. `kind`, `since_ns` and `place` are the caller's notes about the request in flight."""

    __slots__ = ("_caller", "_feed", "_transport", "busy", "kind", "place", "reader", "since_ns")

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.reader = AnswerReader()
        self._feed = self.reader.feed
        self._transport: asyncio.Transport | None = None
        self.busy = False
        self.kind = 0
        self.since_ns = 0
        self.place = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request_bytes: bytes) -> None:
        if self._transport is None:
            return
        self.busy = True
        self._transport.write(request_bytes)

    def data_received(self, data: bytes) -> None:
        try:
            complete = self._feed(data)
        except (WireError, ValueError) as error:
            self._hang_up(str(error))
            return
        if complete:
            self.busy = False
            self._caller.answered(self, self.reader.status)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self._caller.lost(self, "the server closed the connection" if exc is None else str(exc))

    def _hang_up(self, reason: str) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
            self._caller.lost(self, reason)

    def close(self) -> None:
        """Hang up without telling the caller."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()


async def connect(caller: Caller, host: str, port: int, count: int) -> list[Line]:
    """`count` connections, opened a few at a time so that the listen queue never overflows."""
    loop = asyncio.get_running_loop()
    lines: list[Line] = []
    while len(lines) < count:
        some = min(32, count - len(lines))
        made = await asyncio.gather(
            *(loop.create_connection(lambda: Line(caller), host, port) for _ in range(some))
        )
        lines += [line for _, line in made]
    return lines
