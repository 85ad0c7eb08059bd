"""People and machines: registering, logging in, being logged out, and setting a new password."""

import re
from dataclasses import dataclass

from nostro.domain.errors import (
    EmailTaken,
    InvalidField,
    NotSystemUser,
    TokenRevoked,
    UserGone,
    WrongPassword,
)
from nostro.domain.money import Currency
from nostro.domain.user import Claims, Role, folded
from nostro.ledger.identity import new_id
from nostro.ledger.openings import open_in
from nostro.ledger.passwords import Passwords
from nostro.store import journal, users
from nostro.store.database import Database
from nostro.store.failures import broken_constraint
from nostro.store.users import User

SHORTEST_PASSWORD = 6
LONGEST_PASSWORD = 1024
LONGEST_EMAIL = 254
LONGEST_NAME = 200

_EMAIL = re.compile(
    r"[^@\s\x00-\x1f\x7f<>()\[\]\\,;:\"]+@[^@\s\x00-\x1f\x7f<>()\[\]\\,;:\"]+\.[^@\s\x00-\x1f\x7f.<>()\[\]\\,;:\"]+"
)


@dataclass(frozen=True)
class Users:
    database: Database
    passwords: Passwords
    house_currency: Currency

    async def register(self, email: str, password: str, name: str, role: Role = Role.CUSTOMER) -> User:
        """A new user; a system user gets its settlement account in the house currency with it.

        Raises `InvalidField` for an e-mail address, a password or a name outside the rules, `EmailTaken`.
        """
        email, name = canonical_email(email), valid_name(name)
        password_hash = await self.passwords.hash(valid_password(password))
        user = new_id()
        try:
            async with self.database.transaction() as connection:
                await users.insert_user(
                    connection, user, email=email, name=name, password_hash=password_hash, role=role
                )
                await journal.append_event(
                    connection, "USER_REGISTERED", actor=user, user=user, role=role.value
                )
                if role is Role.SYSTEM:
                    await open_in(
                        connection,
                        user,
                        self.house_currency,
                        settlement=True,
                        details={"name": "Settlement"},
                    )
                created = await users.user_by_id(connection, user)
        except Exception as error:
            if broken_constraint(error) == "users_email_key":
                raise EmailTaken from error
            raise
        assert created is not None, "a user just inserted is there in the same transaction"
        return created

    async def log_in(self, email: str, password: str) -> User:
        """The user; `WrongPassword` for an unknown address and a wrong password alike, in the same time."""
        async with self.database.connection() as connection:
            user = await users.user_by_email(connection, folded(email))
        password_hash = user.password_hash if user else None
        if not await self.passwords.matches(password[: LONGEST_PASSWORD + 1], password_hash) or user is None:
            raise WrongPassword
        return user

    async def log_out(self, claims: Claims) -> None:
        """Holds afterwards: no request with this token succeeds, on any process (idempotent)."""
        async with self.database.connection() as connection:
            await users.revoke_token(connection, claims)

    async def session(self, claims: Claims, *, system: bool = False) -> User:
        """The user of a verified token, judged in the published order: revoked, gone, not a system user."""
        async with self.database.connection() as connection:
            found = await users.read_session(connection, claims)
        if found is None:
            raise UserGone
        user, revoked = found
        if claims.void(revoked=revoked, token_epoch=user.token_epoch):
            raise TokenRevoked
        if system and user.role is not Role.SYSTEM:
            raise NotSystemUser
        return user

    async def by_email(self, email: str) -> User | None:
        async with self.database.connection() as connection:
            return await users.user_by_email(connection, folded(email))

    async def everyone(self, limit: int) -> list[User]:
        async with self.database.connection() as connection:
            return await users.list_users(connection, limit)

    async def forget_expired_tokens(self) -> None:
        async with self.database.connection() as connection:
            await users.forget_expired_tokens(connection)


def canonical_email(email: str) -> str:
    email = folded(email)
    if len(email) > LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        raise InvalidField("email", "must be an e-mail address")
    return email


def valid_password(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidField(
            "password", f"must have at least {SHORTEST_PASSWORD} and at most {LONGEST_PASSWORD} characters"
        )
    return password


def valid_name(name: str, field: str = "name") -> str:
    """One line of printable text; `InvalidField` naming `field` otherwise."""
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidField(field, f"must be one line of 1 to {LONGEST_NAME} printable characters")
    return name
