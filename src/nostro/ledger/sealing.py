"""Secrets that must be read again, sealed at rest: a dump or a standby alone does not give them away.

AES-256-GCM (a compact JWE) under a key derived from JWT_SECRET. Whoever holds both the database and JWT_SECRET
can open them. When JWT_SECRET is replaced, what was sealed under the old one cannot be opened any more.
"""

import hashlib
import hmac

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

_HEADER = {"alg": "dir", "enc": "A256GCM"}


class SealBroken(Exception):
    """The text was sealed under another JWT_SECRET, or changed since."""


class Seal:
    """`purpose` keeps the keys of different uses of one JWT_SECRET apart."""

    def __init__(self, jwt_secret: bytes, purpose: str) -> None:
        self._key = OctKey.import_key(
            hmac.new(jwt_secret, f"nostro {purpose}".encode(), hashlib.sha256).digest()
        )

    def sealed(self, secret: str) -> str:
        return jwe.encrypt_compact(dict(_HEADER), secret.encode(), self._key)

    def opened(self, sealed: str) -> str:
        """Raises `SealBroken`."""
        try:
            plain = jwe.decrypt_compact(sealed, self._key, algorithms=["dir", "A256GCM"]).plaintext
        except (JoseError, ValueError):
            raise SealBroken from None
        return (plain or b"").decode()
