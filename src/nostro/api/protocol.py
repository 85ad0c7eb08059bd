"""HTTP on the wire: uvicorn's protocol, with a short cut for what the lean path takes.

A request in uvicorn is a cycle and a task that runs the application. A candidate for the lean path is held
back until its body is complete; if it is taken, its answer is written when its future is done, without a task.
One whose head is familiar (familiar.py) is not even parsed: a `_Turn` stands where uvicorn expects the cycle.
Everything else (pipelining, keep-alive, shutdown, limits) stays uvicorn's: a request is complete when its
answer has been written.

What never becomes a request is answered here: broken HTTP, and whatever does not arrive as a whole in time, so
that nobody keeps a connection for nothing (tests/contract/test_slow_clients.py).
"""

import asyncio
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from nostro.api.application import HEADERS_OF_EVERY_ANSWER, LARGEST_HEADERS
from nostro.api.documents import encode
from nostro.api.familiar import FamiliarHeads
from nostro.api.lean import LONGEST_BODY, PLAIN_HEADERS, Answered, LeanPath, Pending
from nostro.api.problems import bare_problem
from nostro.api.stream import TRANSPORT
from nostro.domain.errors import HeadersTooLarge, MalformedRequest, NostroError, RequestTimeout
from nostro.ledger.counts import LEAN

log = structlog.get_logger(__name__)

_ALWAYS = b"".join(b"%s: %s\r\n" % header for header in HEADERS_OF_EVERY_ANSWER)


class _Turn:
    """All that uvicorn asks of the request that is under way. A connection uses its own again and again."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete", "response_started")

    def __init__(self) -> None:
        self.message_event = asyncio.Event()
        self.keep_alive = True
        self.disconnected = self.response_started = self.response_complete = False


class LeanProtocol(HttpToolsProtocol):
    """One connection. At most one of its requests is under way; uvicorn queues what a client pipelines."""

    def __init__(
        self, lean: LeanPath, familiar: FamiliarHeads, longest_arrival_s: float, **uvicorns: Any
    ) -> None:
        super().__init__(**uvicorns)
        self._longest_arrival_s = longest_arrival_s
        self._arrival: asyncio.TimerHandle | None = None
        self._lean = lean
        self._familiar = familiar
        self._turn = _Turn()
        self._held: tuple[RequestResponseCycle, Any] | None = None
        self._head_size: int | None = None  # bytes of a head without an end yet, but for its first piece
        self._mid_message = False  # of the parser, which is told nothing of familiar requests
        self._taken = 0
        self._active_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._active_at = self.loop.time()
        self._wind_up(self.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        idle = not self._mid_message and (self.cycle is None or self.cycle.response_complete)
        if idle and self._take_familiar(data):
            return
        taken = self._taken
        self._parse(data)
        if idle and self._taken == taken + 1 and not self._mid_message and self.cycle.keep_alive:
            self._familiar.remember(data)

    def _take_familiar(self, data: bytes) -> bool:
        request = self._familiar.read(data)
        pending = self._lean.take_familiar(request) if request is not None else None
        if pending is None or self.flow.write_paused:
            return False
        turn = self._turn
        turn.keep_alive = True
        turn.disconnected = turn.response_complete = False
        self.cycle = turn  # type: ignore[assignment]
        pending.future.add_done_callback(lambda _: self._write(turn, pending))
        return True

    def _parse(self, data: bytes) -> None:
        """uvicorn keeps a head until its end, however long; here it ends with the connection."""
        under_way = self._head_size
        super().data_received(data)
        if under_way is None or self._head_size is None or self.transport.is_closing():
            return
        self._head_size += len(data)
        if self._head_size > LARGEST_HEADERS:
            self._refuse(HeadersTooLarge())

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text, for which there is a code
        """What uvicorn calls for broken HTTP."""
        self._refuse(MalformedRequest())

    def _refuse(self, error: NostroError) -> None:
        """An answer to what is no request, or not yet, and the end of the connection. Who still waits for the
        answer to an earlier request would take it for that one, so they are told nothing."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is None or cycle.response_complete or self._is_arriving(cycle):
            headers = [*PLAIN_HEADERS, (b"connection", b"close")]
            answered = Answered(error.http_status, headers, encode(bare_problem(error)))
            self.transport.write(self._bytes(answered, keep_alive=True))
        if cycle is not None:
            cycle.disconnected = True  # whatever it has to say comes too late
        self.transport.close()

    def _is_arriving(self, cycle: RequestResponseCycle | _Turn) -> bool:
        """Whether the answer that is due next is that to the request which is not complete yet."""
        return (
            isinstance(cycle, RequestResponseCycle)
            and cycle.more_body
            and not cycle.response_started
            and not self.pipeline
        )

    def _too_slow(self) -> None:
        self._arrival = None
        self._refuse(RequestTimeout())

    def _has_arrived(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._mid_message = True
        self._head_size = 0
        self._arrival = self.loop.call_later(self._longest_arrival_s, self._too_slow)

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
        self._mid_message = False
        self._has_arrived()
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
        self._taken += 1
        pending.future.add_done_callback(lambda _: self._write(cycle, pending))
        return True

    def _write(self, cycle: RequestResponseCycle | _Turn, pending: Pending) -> None:
        cycle.response_started = cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():  # uvicorn tells only the request that came last
            return
        try:
            answered = pending.answered(pending.future.result())
        except (Exception, asyncio.CancelledError):
            log.exception("answer_failed")
            self.transport.close()
            return
        self._lean.counts.answered(LEAN, answered.status)
        self.transport.write(self._bytes(answered, keep_alive=cycle.keep_alive))
        if not cycle.keep_alive:
            self.transport.close()
        if cycle is self._turn and not self.pipeline and self.timeout_keep_alive_task is not None:
            self._active_at = self.loop.time()
            self.server_state.total_requests += 1
        else:
            self.on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Familiar requests leave the timer as it is wound up, so it may ring early."""
        self.timeout_keep_alive_task = None
        under_way = self.cycle is not None and not self.cycle.response_complete
        idle_s = 0 if under_way else self.loop.time() - self._active_at
        if idle_s >= self.timeout_keep_alive:
            super().timeout_keep_alive_handler()
        else:
            self._wind_up(self.timeout_keep_alive - idle_s)

    def _wind_up(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _bytes(self, answered: Answered, *, keep_alive: bool) -> bytes:
        head = self._head(answered) if keep_alive else self._head(answered) + b"connection: close\r\n"
        return b"%scontent-length: %d\r\n\r\n%s" % (head, len(answered.body), answered.body)

    def _head(self, answered: Answered) -> bytes:
        """Without its end; kept for as long as uvicorn keeps the date, which is a second."""
        defaults = self.server_state.default_headers
        kept = _heads.get(answered.status)
        if kept is not None and kept[0] is defaults and answered.headers is PLAIN_HEADERS:
            return kept[1]
        lines = [b"%s: %s\r\n" % header for header in (*defaults, *answered.headers)]
        head = b"".join([STATUS_LINE[answered.status], *lines, _ALWAYS])
        if answered.headers is PLAIN_HEADERS:
            _heads[answered.status] = (defaults, head)
        return head


_heads: dict[int, tuple[object, bytes]] = {}
