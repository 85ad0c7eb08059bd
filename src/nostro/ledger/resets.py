"""A forgotten password: a link that works once, for 30 minutes, and makes every earlier token void.

Nothing about the link is stored. It is derived from the journal's event that asked for it and from the
password it is to replace: once that has been replaced, the link derives from nothing any more.
"""

import hashlib
import hmac
from dataclasses import dataclass

from nostro.domain.errors import InvalidResetLink
from nostro.domain.user import folded
from nostro.ledger.passwords import Passwords
from nostro.ledger.users import valid_password
from nostro.store import journal, users
from nostro.store.database import Database

LIFETIME_MINUTES = 30


@dataclass(frozen=True)
class PasswordResets:
    """`secret` signs the links; it is the service's own, never a client's."""

    database: Database
    passwords: Passwords
    secret: bytes

    async def ask(self, email: str) -> int:
        """Put the wish into the journal; its position. An unknown address does the same work, for nobody."""
        async with self.database.transaction() as connection:
            user = await users.user_by_email(connection, folded(email))
            return await journal.append_event(
                connection, "PASSWORD_RESET_REQUESTED", user=user.id if user else None
            )

    async def link_token(self, position: int) -> str | None:
        """What the link for the wish at `position` carries; None when it was for nobody."""
        async with self.database.connection() as connection:
            user = await users.user_of_reset(connection, position, LIFETIME_MINUTES)
        return self._token(position, user.password_hash) if user else None

    async def reset(self, email: str, token: str, new_password: str) -> None:
        """Holds afterwards: the new password is the user's, no token issued before is valid, and neither is
        this link. Raises `InvalidResetLink`, `InvalidField`."""
        new_hash = await self.passwords.hash(valid_password(new_password))
        position = _position(token)
        async with self.database.transaction() as connection:
            user = await users.user_of_reset(connection, position, LIFETIME_MINUTES)
            if user is None or user.email != folded(email):
                raise InvalidResetLink
            if not hmac.compare_digest(self._token(position, user.password_hash).encode(), token.encode()):
                raise InvalidResetLink
            if not await users.set_password(connection, user.id, new_hash, user.password_hash):
                raise InvalidResetLink
            await journal.append_event(connection, "PASSWORD_CHANGED", actor=user.id, user=user.id)

    def _token(self, position: int, password_hash: str) -> str:
        said = f"password reset {position} {password_hash}".encode()
        return f"{position}.{hmac.new(self.secret, said, hashlib.sha256).hexdigest()}"


def _position(token: str) -> int:
    number = token.partition(".")[0]
    if not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise InvalidResetLink
    return int(number)
