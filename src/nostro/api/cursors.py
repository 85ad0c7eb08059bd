"""Cursors: where a list goes on, and under which filters. Opaque to clients; what was never given out is a 400.

A cursor carries the filters of the list it belongs to, so that following it needs nothing else; filters sent
beside it must say the same. Nobody is let in by a cursor: whoever sends one is asked for a token as before, and
what it carries is read by the same parsers as a query.
"""

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

import msgspec
from starlette.requests import Request

from nostro.domain.errors import InvalidCursor
from nostro.domain.history import Place

LONGEST_CURSOR = 8192
# An account's 12 bytes and a 63-bit seq behind them.
LARGEST_EDGE = (1 << 159) - 1
_EDGE = re.compile(r"-1|0|[1-9][0-9]{0,48}", re.ASCII)
_CHECK_BYTES = 8

Query = dict[str, str]


class _Carried(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    of: str
    query: Query
    edge: str  # a number, of which some lists need more digits than JSON readers keep
    older: bool


class Asked(NamedTuple):
    """The filters as they were sent, now or when the cursor was given out; and the place to go on at."""

    query: Query
    place: Place | None


def cursor_of(of: str, query: Query, place: Place) -> str:
    """`of` names the list: a cursor of one list is refused at another."""
    carried = msgspec.json.encode(_Carried(of, query, str(place.edge), place.older))
    return urlsafe_b64encode(_check(carried) + carried).decode().rstrip("=")


def asked(request: Request, of: str, names: tuple[str, ...]) -> Asked:
    """The filters called `names` (`metadata` has members), blank ones left out. Raises `InvalidCursor`."""
    given = {
        name: value for name, value in request.query_params.items() if value and name.partition("[")[0] in names
    }
    text = request.query_params.get("cursor")
    if not text:
        return Asked(given, None)
    carried = _carried(text)
    if carried.of != of:
        raise InvalidCursor("The cursor belongs to another list")
    if not given.items() <= carried.query.items():
        raise InvalidCursor("The cursor belongs to other filters; it carries them, so they can be left out")
    return Asked(carried.query, Place(int(carried.edge), carried.older))


def _carried(text: str) -> _Carried:
    try:
        if len(text) > LONGEST_CURSOR:
            raise InvalidCursor
        sent = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        check, carried = sent[:_CHECK_BYTES], sent[_CHECK_BYTES:]
        # Decoding skips what is not Base64; only the text that was given out encodes to itself.
        if check != _check(carried) or urlsafe_b64encode(sent).decode().rstrip("=") != text:
            raise InvalidCursor
        found = msgspec.json.decode(carried, type=_Carried)
    except (ValueError, msgspec.DecodeError):
        raise InvalidCursor from None
    if not _EDGE.fullmatch(found.edge) or int(found.edge) > LARGEST_EDGE:
        raise InvalidCursor
    return found


def _check(carried: bytes) -> bytes:
    return hashlib.blake2b(carried, digest_size=_CHECK_BYTES, person=b"nostro cursor").digest()
