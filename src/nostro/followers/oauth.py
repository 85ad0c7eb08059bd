"""Access tokens for a mailbox (OAuth2): fetched with the refresh token, kept until shortly before they end."""

import asyncio
import time
from collections.abc import Callable

import httpx2
import msgspec

from nostro.mail_settings import OAuthClient

_TIMEOUT_S = 10.0
# A token that ends within a minute may end before the server has looked at it.
_MARGIN_S = 60.0
_SHORTEST_S = 30.0


class TokenRefused(Exception):
    """No access token was to be had; says why, without anything secret."""


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float = 3600.0


class _Refused(msgspec.Struct):
    error: str = ""


class AccessTokens:
    """The access token of one mailbox. Asked for by many at once, it is fetched once."""

    def __init__(self, client: OAuthClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._token = ""
        self._valid_until = 0.0
        self._fetching = asyncio.Lock()

    async def token(self) -> str:
        """Raises `TokenRefused`."""
        async with self._fetching:
            if not self._token or self._clock() >= self._valid_until:
                granted = await self._fetch()
                self._token = granted.access_token
                self._valid_until = self._clock() + max(granted.expires_in - _MARGIN_S, _SHORTEST_S)
            return self._token

    def forget(self) -> bool:
        """Drop a token that the server did not take; whether there was one."""
        known, self._token = bool(self._token), ""
        return known

    async def _fetch(self) -> _Granted:
        form = {
            "grant_type": "refresh_token",
            "client_id": self._client.client_id,
            "client_secret": self._client.client_secret.get_secret_value(),
            "refresh_token": self._client.refresh_token.get_secret_value(),
        }
        try:
            async with httpx2.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as http:
                answer = await http.post(self._client.token_url, data=form)
        except httpx2.HTTPError as error:
            raise TokenRefused(f"the token endpoint cannot be reached ({type(error).__name__})") from None
        if answer.status_code != 200:
            raise TokenRefused(f"the token endpoint refused ({answer.status_code}{_code_in(answer.content)})")
        try:
            granted = msgspec.json.decode(answer.content, type=_Granted)
        except msgspec.DecodeError:
            raise TokenRefused("the token endpoint gave an answer that is none") from None
        if not (granted.access_token.isascii() and granted.access_token.isprintable()):
            raise TokenRefused("the token endpoint gave a token that cannot be sent")
        return granted


def _code_in(content: bytes) -> str:
    """The error code of RFC 6749, such as invalid_grant; not its description: it may repeat what was sent."""
    try:
        code = msgspec.json.decode(content, type=_Refused).error
    except msgspec.DecodeError:
        return ""
    return f", {code}" if code.isidentifier() and len(code) <= 40 else ""
