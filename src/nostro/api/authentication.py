"""Tokens: signed with HS256 under JWT_SECRET, sent as the cookie `token` or as a bearer token.

Only what was verified counts: a token is known by its claims, never by its text, of which there can be several
for the same claims. Whether it was revoked, and whether its user still exists, the database says each time.
"""

import hashlib
import json
import math
import re
import secrets
import time
from base64 import urlsafe_b64decode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from starlette.requests import Request

from nostro.domain.errors import CrossSiteRefused, InvalidId, TokenInvalid, TokenMissing
from nostro.domain.ids import ObjectId, parse_id, show_id
from nostro.domain.user import Claims, Role

COOKIE = "token"
LONGEST_TOKEN = 4096
_REMEMBERED = 10_000
# How far ahead the clock of another machine that mints tokens may be.
_CLOCK_SKEW_S = 60
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Tokens:
    """Mints and verifies tokens. `lifetime_s`: how long a new one is valid."""

    def __init__(self, secret: bytes, lifetime_s: int) -> None:
        self._key = OctKey.import_key(secret)
        self.lifetime_s = lifetime_s
        # Verified claims by the token's text: spares the signature, never the expiry or the revocation.
        self._verified: dict[str, Claims] = {}

    def mint(self, user: ObjectId, role: Role, not_before: float) -> str:
        """A token for `user`, issued now but not before `not_before` (the user's token epoch)."""
        issued_at = max(int(time.time()), math.ceil(not_before) if math.isfinite(not_before) else 0)
        claims = {
            "userId": show_id(user),
            "userType": "SYSTEM" if role is Role.SYSTEM else "USER",
            "iat": issued_at,
            "exp": issued_at + self.lifetime_s,
            "jti": secrets.token_hex(12),
        }
        return jwt.encode({"alg": "HS256", "typ": "JWT"}, claims, self._key)

    def verify(self, text: str) -> Claims:
        """What the token says, once its signature and its times have been checked; else `TokenInvalid`."""
        claims = self._verified.get(text)
        if claims is None:
            claims = self._read(text)
            if len(self._verified) >= _REMEMBERED:
                self._verified.pop(next(iter(self._verified)))
            self._verified[text] = claims
        if claims.expires_at <= time.time():
            raise TokenInvalid
        return claims

    def remembered(self, text: str) -> Claims | None:
        """The claims of a token that was verified before and has not expired; None: `verify` must look."""
        claims = self._verified.get(text)
        return claims if claims is not None and claims.expires_at > time.time() else None

    def _read(self, text: str) -> Claims:
        if len(text) > LONGEST_TOKEN:
            raise TokenInvalid
        try:
            jwt.decode(text, self._key, algorithms=["HS256"])
            header, payload = (_members_of(part) for part in text.split(".")[:2])
            _refuse_other_headers(header)
            return _claims(payload)
        except (JoseError, ValueError, TypeError, KeyError, InvalidId, RecursionError):
            raise TokenInvalid from None


def _members_of(part: str) -> dict[str, object]:
    """A part of a token whose signature was verified; ValueError when a member stands twice in it."""
    members: dict[str, object] = json.loads(
        urlsafe_b64decode(part + "=" * (-len(part) % 4)), object_pairs_hook=_without_duplicates
    )
    return members


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("two readers could see two different tokens")
    return members


def _refuse_other_headers(header: dict[str, object]) -> None:
    """ValueError for a token that names a key, a type or an extension: it was made for somebody else."""
    if not header.keys() <= {"alg", "typ"} or str(header.get("typ", "JWT")).upper() != "JWT":
        raise ValueError("not a plain token")


def _claims(said: dict[str, object]) -> Claims:
    """Raises ValueError or KeyError unless userId, exp and (if there) iat and nbf are what they should be, and
    for a token with an audience, which we are not (RFC 7519, 4.1.3)."""
    expires_at = _seconds(said["exp"])
    issued_at = _seconds(said.get("iat", 0))
    if max(issued_at, _seconds(said.get("nbf", 0))) > time.time() + _CLOCK_SKEW_S or "aud" in said:
        raise ValueError("not valid yet, or not here")
    user = parse_id(said["userId"], "userId")
    jti = said.get("jti")
    name = f"jti {user.hex()} {jti}" if isinstance(jti, str) else "claims " + json.dumps(said, sort_keys=True)
    return Claims(user, hashlib.sha256(name.encode()).digest(), issued_at, expires_at)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**40:
        raise ValueError("a time is a whole number of seconds")
    return float(value)


def token_of(request: Request) -> tuple[str, bool]:
    """The token as it was sent, and whether the cookie carried it; ("", False) when there is none.

    The cookie comes first; then `Authorization: Bearer`, its scheme in any case.
    """
    header = request.headers.get("cookie")
    if header and COOKIE in header:
        cookie = request.cookies.get(COOKIE)
        if cookie:
            return cookie, True
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return (credentials.strip(), False) if scheme.lower() == "bearer" else ("", False)


def claims_of(request: Request, tokens: Tokens, allowed_origins: "Origins") -> Claims:
    """Raises `TokenMissing`, `CrossSiteRefused` or `TokenInvalid`, in this order."""
    token, by_cookie = token_of(request)
    if not token:
        raise TokenMissing
    if by_cookie and request.method not in _SAFE_METHODS:
        refuse_cross_site(request, allowed_origins)
    return tokens.verify(token)


class Origins:
    """Which browser origins may call: those configured, and in development any on the loopback interface."""

    LOOPBACK = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?"

    def __init__(self, configured: list[str], *, development: bool) -> None:
        self.configured = configured
        self.development = development

    def allow(self, origin: str, host: str) -> bool:
        if origin in self.configured or (host and origin in {f"http://{host}", f"https://{host}"}):
            return True
        return self.development and re.fullmatch(self.LOOPBACK, origin) is not None


def refuse_cross_site(request: Request, origins: Origins) -> None:
    """`CrossSiteRefused` when a browser says that the request comes from a page of another site."""
    origin = request.headers.get("origin")
    if origin is not None:
        if not origins.allow(origin, request.headers.get("host", "")):
            raise CrossSiteRefused
    elif request.headers.get("sec-fetch-site") == "cross-site":
        raise CrossSiteRefused
