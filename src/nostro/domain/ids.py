"""Object ids: 12 bytes that sort by time, shown as 24 lower-case hex digits.

An id is 4 bytes of Unix seconds, 5 bytes that differ per process and a 3-byte counter, the layout that
clients of document databases slice and validate. Seconds come from the service's clock, never a client's.
"""

from typing import NewType

from nostro.domain.errors import InvalidId

ObjectId = NewType("ObjectId", bytes)

# Bytes.
LENGTH = 12

_COUNTER_LIMIT = 1 << 24


def parse_id(text: object, field: str) -> ObjectId:
    """The id that `text` shows; `InvalidId` naming `field` for anything but 24 hex digits."""
    if isinstance(text, str) and len(text) == 2 * LENGTH:
        try:
            read = bytes.fromhex(text)
        except ValueError:
            raise InvalidId(field) from None
        if len(read) == LENGTH:  # less with blanks between the digits, which are read over
            return ObjectId(read)
    raise InvalidId(field)


def show_id(object_id: bytes) -> str:
    return object_id.hex()


class IdSequence:
    """Distinct ids for one process: `process` is 5 random bytes, `counter` a random start below 2**24."""

    __slots__ = ("_counter", "_process")

    def __init__(self, process: bytes, counter: int) -> None:
        if len(process) != 5:
            raise ValueError("a process is told apart by exactly 5 bytes")
        self._process = int.from_bytes(process, "big") << 24
        self._counter = counter % _COUNTER_LIMIT

    def at(self, unix_seconds: int) -> ObjectId:
        """The next id; distinct for 2**24 calls within one second."""
        self._counter = (self._counter + 1) % _COUNTER_LIMIT
        return ObjectId((unix_seconds << 64 | self._process | self._counter).to_bytes(LENGTH, "big"))
