"""Signing as Standard Webhooks says: HMAC-SHA256 over id, time and body, one signature for each secret."""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook

_SECRET_BYTES = 32


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(message: str, body: bytes, sent_at: datetime, with_secrets: Sequence[str]) -> dict[str, str]:
    """The three headers of a message. `message` is its id, the same for every attempt; `sent_at` is in UTC."""
    text = body.decode()
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message, sent_at, text) for secret in with_secrets),
    }
