"""A receiver of webhooks as somebody else would run one: a real HTTP server that remembers what came."""

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    # Held back until this is set.
    after: threading.Event | None = None


class Sink:
    """Answers what `reply` says; `connections` counts whoever connected, request or not."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.reply: Callable[[Received], Reply] = lambda _: Reply()
        self._came = threading.Condition()
        self._server = _server(self, host, port, tls)
        self.host, self.port = self._server.server_address[:2]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/hook"

    def answer(self, status: int, **headers: str) -> None:
        """From now on, to everybody."""
        self.reply = lambda _: Reply(status, {name.replace("_", "-"): value for name, value in headers.items()})

    def note(self, received: Received) -> Reply:
        with self._came:
            self.received.append(received)
            self._came.notify_all()
        return self.reply(received)

    def wait_for(self, count: int, timeout_s: float = 30) -> list[Received]:
        """What came, as soon as it is at least `count` requests."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.received) >= count, timeout_s), (
                f"{len(self.received)} of {count} requests came"
            )
            return list(self.received)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _server(sink: Sink, host: str, port: int, tls: ssl.SSLContext | None) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = sink.note(Received(self.path, headers, body))
            if reply.after is not None:
                reply.after.wait(30)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in reply.headers:
                self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

        def get_request(self) -> tuple[Any, Any]:
            connection, address = super().get_request()
            sink.connections += 1
            return (tls.wrap_socket(connection, server_side=True) if tls else connection), address

        def handle_error(self, *_: Any) -> None:
            """A client that goes away in the middle is no error of the receiver's."""

    return Server((host, port), Handler)
