"""Where followers send to in these tests: a real HTTP server that notes what comes and answers as told."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Given = dict[str, Any]
PATIENCE_S = 60.0


def _accepts(_: Given) -> int:
    return 200


class Sink:
    """Use as `with`. `answer` decides the status of each request; it may wait, and its sender with it."""

    def __init__(self, answer: Callable[[Given], int] = _accepts, port: int = 0) -> None:
        self.answer = answer
        self.given: list[Given] = []
        self._came = threading.Condition()
        self._server = _Server(("127.0.0.1", port), self._note)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def until(self, condition: Callable[[list[Given]], bool]) -> None:
        """Return when `condition` holds for what came so far; fail when it never does."""
        with self._came:
            assert self._came.wait_for(lambda: condition(self.given), timeout=PATIENCE_S), self.given[-5:]

    def ids(self) -> dict[tuple[int, str], set[str]]:
        """For each position and target, the ids it came under."""
        found: dict[tuple[int, str], set[str]] = {}
        for one in self.given:
            found.setdefault((one["position"], one["target"]), set()).add(one["id"])
        return found

    def count(self) -> Counter[str]:
        return Counter(one["id"] for one in self.given)

    def _note(self, given: Given) -> int:
        with self._came:
            self.given.append(given)
            self._came.notify_all()
        return self.answer(given)


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a sender that was killed leaves its connection open
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], note: Callable[[Given], int]) -> None:
        self.note = note
        super().__init__(address, _Handler)

    def handle_error(self, *_: object) -> None:
        """A sender that was killed breaks its connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.note(given))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""
