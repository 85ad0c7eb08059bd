"""Requests to URLs that somebody else chose: a name is looked up once, and only a checked address connected to.

    1 look up   all addresses of the host, once per request
    2 check     every one of them; one that is not permitted refuses them all (domain/destination.py)
    3 connect   to a checked address, never to the name again: an answer that changes in between changes nothing
    4 ask       with the name in Host, in SNI and for the certificate; no redirect is followed, no proxy used

No connection is kept: two hosts at one address would share it, and with it the first one's certificate
(tests/unit/test_guard.py has a test for each of these sentences).
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import httpx2

from nostro.domain.destination import Address, Destinations

Resolve = Callable[[str], Awaitable[list[str]]]

_LOOKUP_THREADS = 8
_LOOKUP_TIMEOUT_S = 5.0
# A host with more addresses than anybody has is tried at the first few.
_MOST_TRIED = 3


class NotPermitted(Exception):
    """The host stands for an address that requests must not go to, or for none.

    One refusal for both: whoever names hosts must not learn which names an internal name server knows.
    """


class GuardedTransport(httpx2.AsyncBaseTransport):
    """`resolve` tells the addresses of a name; `trusted` says who vouches for certificates."""

    def __init__(
        self, destinations: Destinations, resolve: Resolve | None = None, trusted: ssl.SSLContext | None = None
    ) -> None:
        self._destinations = destinations
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, "look-up")
        self._resolve = resolve or self._look_up
        self._inner = httpx2.AsyncHTTPTransport(
            verify=trusted or True,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises `NotPermitted`, and what httpx2 raises when nobody answers."""
        host = request.url.raw_host.decode("ascii")
        addresses = await self._checked_addresses(host)
        for number, address in enumerate(addresses, start=1):
            try:
                return await self._inner.handle_async_request(_aimed(request, host, address))
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise NotPermitted

    async def _checked_addresses(self, host: str) -> list[Address]:
        try:
            addresses = [ip_address(text) for text in await self._resolve(host)]
        except (OSError, ValueError, UnicodeError):
            raise NotPermitted from None
        # The allow-list knows IPv6 addresses as a URL writes them.
        named = f"[{host}]" if ":" in host else host
        if not self._destinations.permits_all(named, addresses):
            raise NotPermitted
        return addresses[:_MOST_TRIED]

    async def _look_up(self, host: str) -> list[str]:
        """In threads of its own, so that a slow answer delays no other work of the process."""
        looking = asyncio.get_running_loop().run_in_executor(self._threads, _addresses_of, host)
        async with asyncio.timeout(_LOOKUP_TIMEOUT_S):
            return await looking

    async def aclose(self) -> None:
        await self._inner.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _addresses_of(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _aimed(request: httpx2.Request, host: str, address: Address) -> httpx2.Request:
    """The same request, at one address; its Host header was written from the name before."""
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions=request.extensions | {"sni_hostname": host},
    )
