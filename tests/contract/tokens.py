"""Tokens made by hand, with the standard library only, as another system that knows the secret would."""

import base64
import hmac
import json
import time
from typing import Any

from tests.conftest import JWT_SECRET

HEADER = {"alg": "HS256", "typ": "JWT"}


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def claims(user: str, lifetime_s: int = 3600, **more: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"userId": user, "iat": now, "exp": now + lifetime_s, **more}


def signed(
    payload: dict[str, Any] | bytes,
    *,
    header: dict[str, Any] | bytes = HEADER,
    key: str | bytes = JWT_SECRET,
    digest: str = "sha256",
) -> str:
    """A compact JWS of `payload` under `key`; bytes are taken as they are."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    text = ".".join(encoded(part) for part in parts)
    secret = key.encode() if isinstance(key, str) else key
    return f"{text}.{encoded(hmac.new(secret, text.encode(), digest).digest())}"
