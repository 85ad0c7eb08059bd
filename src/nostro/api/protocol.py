"""HTTP on the wire: uvicorn's protocol, with a short cut for what the lean path takes.

A request in uvicorn is a cycle and a task that runs the application. A candidate for the lean path is held
back until its body is complete; if it is taken, its answer is written when its future is done, without a task.
Everything else (pipelining, keep-alive, shutdown, limits) stays uvicorn's: the cycle is the same object, and it
is complete when the answer has been written.
"""

import asyncio
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from nostro.api.application import HEADERS_OF_EVERY_ANSWER, LARGEST_HEADERS
from nostro.api.lean import LONGEST_BODY, Answered, LeanPath, Pending
from nostro.api.stream import TRANSPORT
from nostro.ledger.counts import LEAN

log = structlog.get_logger(__name__)

_ALWAYS = b"".join(b"%s: %s\r\n" % header for header in HEADERS_OF_EVERY_ANSWER)


class LeanProtocol(HttpToolsProtocol):
    """One connection. At most one of its requests is under way; uvicorn queues what a client pipelines."""

    def __init__(self, lean: LeanPath, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._lean = lean
        self._held: tuple[RequestResponseCycle, Any] | None = None
        self._head_size: int | None = None  # bytes of a head without an end yet, but for its first piece

    def data_received(self, data: bytes) -> None:
        """uvicorn keeps a head until its end, however long; here it ends with the connection."""
        under_way = self._head_size
        super().data_received(data)
        if under_way is None or self._head_size is None or self.transport.is_closing():
            return
        self._head_size += len(data)
        if self._head_size > LARGEST_HEADERS:
            self.send_400_response("The headers are too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_size = 0

    def on_headers_complete(self) -> None:
        self._head_size = None
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Called when it is the request's turn, which may be before its body is there."""
        if cycle.waiting_for_100_continue or not self._lean.may_take(cycle.scope):  # type: ignore[arg-type]
            cycle.scope[TRANSPORT] = self.transport  # type: ignore[literal-required]
            super()._start_asgi_task(cycle, app)
        elif cycle.more_body:
            self._held = (cycle, app)
        elif not self._take(cycle):
            super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self._held is not None and len(self._held[0].body) > LONGEST_BODY:
            held, self._held = self._held, None
            super()._start_asgi_task(*held)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._held is not None and not self._held[0].more_body:
            (cycle, app), self._held = self._held, None
            if not self._take(cycle):
                super()._start_asgi_task(cycle, app)

    def _take(self, cycle: RequestResponseCycle) -> bool:
        if self.flow.write_paused:  # a client that does not read its answers waits in a task, where it can
            return False
        pending = self._lean.take(cycle.scope, bytes(cycle.body))  # type: ignore[arg-type]
        if pending is None:
            return False
        pending.future.add_done_callback(lambda _: self._write(cycle, pending))
        return True

    def _write(self, cycle: RequestResponseCycle, pending: Pending) -> None:
        cycle.response_started = cycle.response_complete = True
        if cycle.disconnected:
            return
        try:
            answered = pending.answered(pending.future.result())
        except (Exception, asyncio.CancelledError):
            log.exception("answer_failed")
            self.transport.close()
            return
        self._lean.counts.answered(LEAN, answered.status)
        self.transport.write(self._bytes(cycle, answered))
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _bytes(self, cycle: RequestResponseCycle, answered: Answered) -> bytes:
        head = [STATUS_LINE[answered.status]]
        head += [b"%s: %s\r\n" % header for header in (*self.server_state.default_headers, *answered.headers)]
        head.append(_ALWAYS)
        if not cycle.keep_alive:
            head.append(b"connection: close\r\n")
        head.append(b"content-length: %d\r\n\r\n" % len(answered.body))
        head.append(answered.body)
        return b"".join(head)
