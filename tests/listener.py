"""One open live stream, read as a browser reads it: line by line, from a connection of its own."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PATIENCE_S = 20


class Told(NamedTuple):
    """One server-sent event; `name` is "message" where the service gave none."""

    name: str
    id: int | None
    data: Any


class Listener:
    """Connects at once; `status` and `headers` are those of the answer. Use as `with`."""

    def __init__(
        self, url: str, token: str = "", query: str = "", *, small: bool = False, **headers: str
    ) -> None:
        """`small`: as little room for what is not read as the system allows. `headers`: `_` stands for `-`."""
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE_S)
        self._connection.sock = socket.socket()
        if small:
            self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._connection.sock.settimeout(PATIENCE_S)
        self._connection.sock.connect((parts.hostname, parts.port))
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        self._connection.request("GET", f"/api/stream{query}", headers=sent)
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.headers = self._answer.headers

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._answer.close()
        self._connection.close()

    def problem(self) -> Any:
        """The answer to a stream that was refused."""
        return json.loads(self._answer.read())

    def __iter__(self) -> Iterator[Told]:
        """Everything until the service ends the stream."""
        while (told := self._next()) is not None:
            yield told

    def next(self) -> Told:
        told = self._next()
        assert told is not None, "the stream has ended"
        return told

    def until(self, name: str) -> Told:
        """The next one called so; what comes before is passed over."""
        while (told := self.next()).name != name:
            pass
        return told

    def happened(self, count: int) -> list[Any]:
        """The data of the next `count` events; snapshots and heartbeats are passed over."""
        return [self.until("message").data for _ in range(count)]

    def _next(self) -> Told | None:
        name, position, data = "message", None, None
        while line := self._answer.readline():
            field, _, value = line.decode().rstrip("\n").partition(": ")
            match field:
                case "event":
                    name = value
                case "id":
                    position = int(value)
                case "data":
                    data = json.loads(value)
                case "" if data is not None:
                    return Told(name, position, data)
        return None
