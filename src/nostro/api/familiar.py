"""Requests with a familiar head: but for token and length, the parser read it and the lean path took it before.

A client sends nearly the same head each time. Its rest (the header lines without those two) is remembered when
the parser has read a whole request and the lean path has taken it; the next request with the same rest, byte
for byte, needs no parser. What decides is read anew each time: method, path, token, length and body; only what
the whole head of a POST says, byte for byte, is remembered too.
"""

import re
from functools import lru_cache
from typing import NamedTuple

_END_OF_HEAD = b"\r\n\r\n"
_VERSION = b" HTTP/1.1"
_PLAIN_PATH = re.compile(rb"/[A-Za-z0-9/_-]+")
_TOKEN = (b"\r\nAuthorization: Bearer ", b"\r\nauthorization: Bearer ")
_LENGTH = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
# Lines that change what other lines mean, and a line that goes on in the next.
_NEVER = (
    b"\r\n ",
    b"\r\n\t",
    b"\r\ntransfer-encoding",
    b"\r\nupgrade",
    b"\r\nconnection: close",
    b"\r\nexpect",
)
_LONGEST_HEAD = 4096
_LONGEST_REST = 1024
_MOST = 512
# Each takes a kilobyte or two. A client that pays has a token, and a few lengths of what it sends.
_MOST_HEADS = 1024


class Familiar(NamedTuple):
    """A whole request, and nothing after it. `token` and `body` are as they were sent, not judged yet."""

    method: str
    path: str
    token: bytes
    body: bytes


class FamiliarHeads:
    """Remembers at most `_MOST` rests, those that came last."""

    def __init__(self) -> None:
        self._rests: dict[bytes, None] = {}

    def read(self, data: bytes) -> Familiar | None:
        """None unless `data` is one whole request whose head is familiar."""
        parts = _parts(data)
        return parts[0] if parts is not None and parts[1] in self._rests else None

    def remember(self, data: bytes) -> None:
        """The parser found one whole request in `data`, and the lean path took it."""
        parts = _parts(data)
        if parts is None or len(parts[1]) > _LONGEST_REST:
            return
        lower = parts[1].lower()
        if not any(word in lower for word in _NEVER):
            self._rests[parts[1]] = None
            if len(self._rests) > _MOST:
                del self._rests[next(iter(self._rests))]


class _Head(NamedTuple):
    """`rest`: what is left of it without token and length, but with its method, which decides whether there
    must be a type."""

    method: str
    path: str
    token: bytes
    length: int
    rest: bytes


def _parts(data: bytes) -> tuple[Familiar, bytes] | None:
    """The request, and the rest of its head."""
    end = data.find(_END_OF_HEAD)
    if not 0 < end <= _LONGEST_HEAD:
        return None
    read = _read_before if data.startswith(b"POST ") else _read
    head = read(data[:end])
    body = data[end + len(_END_OF_HEAD) :]
    if head is None or len(body) != head.length:
        return None
    return Familiar(head.method, head.path, head.token, body), head.rest


def _read(head: bytes) -> _Head | None:
    """None for one that is not plain."""
    line, _, _ = head.partition(b"\r\n")
    method, _, target = line.partition(b" ")
    path = target[: -len(_VERSION)]
    if not target.endswith(_VERSION) or not _PLAIN_PATH.fullmatch(path):
        return None
    token, rest = _without(head[len(line) :], _TOKEN)
    length, rest = _without(rest, _LENGTH)
    if token is None or (length is not None and not (length.isdigit() and len(length) <= 4)):
        return None
    return _Head(method.decode("latin-1"), path.decode("ascii"), token, int(length or 0), method + rest)


_read_before = lru_cache(maxsize=_MOST_HEADS)(_read)


def _without(head: bytes, beginnings: tuple[bytes, bytes]) -> tuple[bytes | None, bytes]:
    """The value of the first line that begins so, and the head without that line."""
    for beginning in beginnings:
        at = head.find(beginning)
        if at >= 0:
            value_at = at + len(beginning)
            stop = head.find(b"\r\n", value_at)
            stop = len(head) if stop < 0 else stop
            return head[value_at:stop], head[:at] + head[stop:]
    return None, head
