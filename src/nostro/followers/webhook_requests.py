"""One request to a webhook, and what its answer means.

Only the status counts, and for how long the receiver wants to be left alone. A redirect is a failure: where it
leads was never checked. Nothing else of the answer is read, so that nobody can read through a webhook what
stands behind a URL.
"""

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple

import httpx2

from nostro import __version__
from nostro.followers.guard import NotPermitted

REQUEST_TIMEOUT_S = 15.0
LONGEST_RETRY_AFTER_S = 24 * 3600.0
GONE = 410
_CONNECT_TIMEOUT_S = 5.0
_BUSY = frozenset({429, 502, 503, 504})
_TIMEOUTS = dict.fromkeys(("read", "write", "pool"), REQUEST_TIMEOUT_S) | {"connect": _CONNECT_TIMEOUT_S}


class Answer(NamedTuple):
    """What became of a request. `http_status` None: nobody answered. `reason` None: it was taken."""

    http_status: int | None
    reason: str | None
    retry_after_s: float | None = None


async def ask(transport: httpx2.AsyncBaseTransport, url: str, headers: dict[str, str], body: bytes) -> Answer:
    """POST `body` to `url`; never raises for what the other side does, and takes at most 15 seconds."""
    try:
        request = httpx2.Request(
            "POST",
            url,
            headers={"content-type": "application/json", "user-agent": f"Nostro/{__version__}"} | headers,
            content=body,
            extensions={"timeout": _TIMEOUTS},
        )
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            response = await transport.handle_async_request(request)
            await response.aclose()
        return _meaning(response)
    except (TimeoutError, httpx2.TimeoutException):
        return Answer(None, f"no answer within {REQUEST_TIMEOUT_S:g} s")
    except NotPermitted:
        return Answer(None, "the host leads to no address that requests may go to")
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError):
        return Answer(None, "the URL is not one that can be asked")
    except (httpx2.TransportError, OSError) as error:
        return Answer(None, f"the connection failed ({type(error).__name__})")


def _meaning(response: httpx2.Response) -> Answer:
    status = response.status_code
    if 200 <= status < 300:
        return Answer(status, None)
    if 300 <= status < 400:
        return Answer(status, f"HTTP {status}: a redirect is not followed")
    wait_s = _retry_after_s(response.headers.get("retry-after")) if status in _BUSY else None
    return Answer(status, f"HTTP {status} {_PHRASES.get(status, '')}".rstrip(), wait_s)


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def _retry_after_s(header: str | None) -> float | None:
    """Seconds or a date, as HTTP says; at most a day. None: neither."""
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return min(float(header[:12]), LONGEST_RETRY_AFTER_S)
    try:
        wait_s = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(wait_s, 0.0), LONGEST_RETRY_AFTER_S)
