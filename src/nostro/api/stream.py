"""GET /api/stream: what happens to the caller's accounts, as server-sent events.

A stream is written by the task of its request. What it may cost is bounded at every stage: events wait in a
queue of fixed length (ledger/tail.py), the socket's buffer is small, and a write that does not drain in time,
or a stream that has ended and cannot say so, ends the connection (tests/contract/test_stream_limits.py).
"""

import asyncio
import contextlib
import socket
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from nostro.api.desk import Desk
from nostro.api.documents import Document, account_document
from nostro.domain.errors import InvalidField, NotOperator
from nostro.domain.ids import ObjectId
from nostro.domain.user import Role
from nostro.ledger.streams import CLIENT_GONE, Ended, Happened, Heartbeat, Snapshot, Stream, Streams, Told
from nostro.ledger.tail import EVERYBODY, SLOW
from nostro.store.documents import encode_document
from nostro.store.users import User

# What waits in the kernel for a client that does not read; the kernel doubles it.
SEND_BUFFER_BYTES = 64 * 1024
DRAIN_S = 10.0
# How long a stream that has ended may take to say why.
FAREWELL_S = 1.0
LARGEST_POSITION = 2**63 - 1
# Where in an ASGI scope our protocol puts the connection.
TRANSPORT = "nostro.transport"
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "X-Accel-Buffering": "no",  # nginx would otherwise wait for more
}
_FIRST = b"retry: 2000\n\n"


async def stream(request: Request, desk: Desk) -> Response:
    claims = desk.claims(request)
    async with desk.streams.entrance:
        user = await desk.ledger.users.session(claims)
    scope, after = _scope(request, user), _last_event_id(request)
    if request.method == "HEAD":
        return _head()
    return EventStream(desk.streams, await desk.streams.open(claims, scope, after))


def _scope(request: Request, user: User) -> ObjectId | None:
    match request.query_params.get("scope", "own"):
        case "own":
            return user.id
        case "all":
            if user.role not in {Role.OPERATOR, Role.AUDITOR}:
                raise NotOperator("Only operators and auditors may follow everybody's accounts")
            return EVERYBODY
        case _:
            raise InvalidField("scope", "must be own or all")


def _last_event_id(request: Request) -> int | None:
    """The header that a browser sends when it connects again counts more than the address it had at first."""
    text = request.headers.get("last-event-id") or request.query_params.get("lastEventId") or ""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= LARGEST_POSITION):
        raise InvalidField("lastEventId", "must be the id of an event of this stream")
    return int(text)


def _head() -> Response:
    response = Response(headers=_HEADERS)
    del response.headers["content-length"]
    return response


class EventStream(Response):
    """Tells a stream to its client until either ends it."""

    def __init__(self, streams: Streams, opened: Stream) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]  # nobody knows it
        self._streams, self._stream = streams, opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport: asyncio.Transport = scope[TRANSPORT]
        gone = asyncio.create_task(self._until_gone(receive))
        farewell = _Farewell(transport)
        write = partial(_write, send, transport)
        self._stream.listener.ended.add_done_callback(farewell.begin)
        try:
            _bound_what_waits(transport)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await write(_FIRST)
            await self._stream.follow(lambda told: write(_sent(told, self._stream.scope)))
            await write(b"", more=False)
        except TimeoutError:
            self._stream.end(SLOW)
            transport.abort()
            await gone
        finally:
            self._streams.close(self._stream)
            farewell.cancel()
            gone.cancel()

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._stream.end(CLIENT_GONE)


def _bound_what_waits(transport: asyncio.Transport) -> None:
    with contextlib.suppress(OSError):  # the client has gone already
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


class _Farewell:
    """Ends the connection if a stream that has ended cannot say so in time."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._alarm: asyncio.TimerHandle | None = None

    def begin(self, _ended: object) -> None:
        self._alarm = asyncio.get_running_loop().call_later(FAREWELL_S, self._transport.abort)

    def cancel(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()


async def _write(send: Send, transport: asyncio.Transport, body: bytes, *, more: bool = True) -> None:
    """Raises `TimeoutError` when what was written before does not drain."""
    message: Message = {"type": "http.response.body", "body": body, "more_body": more}
    if not transport.get_write_buffer_size():
        await send(message)  # it will not wait
        return
    async with asyncio.timeout(DRAIN_S):
        await send(message)


def _sent(told: Told, viewer: ObjectId | None) -> bytes:
    """As server-sent events. Their ids are positions; that of a heartbeat, too, is one to resume from."""
    match told:
        case Happened(events):
            return b"".join([_event(event.position, event.document(viewer)) for event in events])
        case Snapshot(position, rows):
            document: Document = {"position": position}
            if rows is not None:
                document["accounts"] = [account_document(row) for row in rows]
            return b"event: snapshot\n" + _event(position, document)
        case Heartbeat(position):
            return b"event: heartbeat\n" + _event(position, {"position": position})
        case Ended(reason):
            return b"event: end\ndata: %b\n\n" % encode_document({"reason": reason})


def _event(position: int, document: Document) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (position, encode_document(document))
