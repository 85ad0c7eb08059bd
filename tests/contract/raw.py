"""HTTP by hand: bytes out, answers in, for what no client library would send."""

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PATIENCE_S = 20


@dataclass(frozen=True)
class RawAnswer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def exchange(url: str, sent: bytes, *, method: str = "GET", hang_up: bool = False) -> list[RawAnswer]:
    """Send the bytes on one connection; every answer until the server closes it, as `Connection: close` and a
    flaw in the request make it do. `hang_up` says that no more will follow, for a request without an end."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S) as connection:
        with suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(sent)
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
        return answers_in(until_closed(connection), method)


def until_closed(connection: socket.socket) -> bytes:
    """All that the server says. A reset is an end, too: it had said all it wanted to say."""
    received = b""
    with suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def answers_in(received: bytes, method: str = "GET") -> list[RawAnswer]:
    answers = []
    while received:
        head, separator, rest = received.partition(b"\r\n\r\n")
        assert separator, f"not an answer: {received[:200]!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        length = 0 if method == "HEAD" else int(headers.get("content-length", len(rest)))
        answers.append(RawAnswer(int(first.split()[1]), headers, rest[:length]))
        received = rest[length:]
    return answers


def request(method: str, path: str, body: bytes = b"", *lines: str, **headers: str) -> bytes:
    """A request's bytes; `lines` are whole header lines, for those that stand twice; the names of `headers`
    have underscores for hyphens. Content-Length is added unless given."""
    named = {"Host": "ledger", "Connection": "close"} | {k.replace("_", "-"): v for k, v in headers.items()}
    if body and "Content-Length" not in named and "Transfer-Encoding" not in named:
        named["Content-Length"] = str(len(body))
    head = "".join(f"{line}\r\n" for line in [*(f"{name}: {value}" for name, value in named.items()), *lines])
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body
