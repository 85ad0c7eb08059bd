"""Users and their tokens, as rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from nostro.domain.ids import ObjectId
from nostro.domain.user import Claims, Role
from nostro.store.arrays import bytes_array, ids_array
from nostro.store.database import Connection
from nostro.store.queries import SQL


class User(NamedTuple):
    """A row of `users`. `token_epoch` in Unix seconds: tokens issued before it are void."""

    id: ObjectId
    email: str
    name: str
    password_hash: str
    role: Role
    token_epoch: float
    created_at: datetime


def _user(row: Any) -> User:
    return User(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        password_hash=row["password_hash"],
        role=Role(row["role"]),
        token_epoch=row["token_epoch"],
        created_at=row["created_at"],
    )


async def insert_user(
    connection: Connection, user: ObjectId, *, email: str, name: str, password_hash: str, role: Role
) -> None:
    """Raises the driver's unique violation on `users_email_key` when the address is taken."""
    await connection.execute(SQL["insert_user"], user, email, name, password_hash, role.value)


async def user_by_email(connection: Connection, email: str) -> User | None:
    row = await connection.fetchrow(SQL["user_by_email"], email)
    return _user(row) if row else None


async def user_by_id(connection: Connection, user: ObjectId) -> User | None:
    row = await connection.fetchrow(SQL["user_by_id"], user)
    return _user(row) if row else None


async def list_users(connection: Connection, limit: int) -> list[User]:
    return [_user(row) for row in await connection.fetch(SQL["list_users"], limit)]


async def read_session(connection: Connection, claims: Claims) -> tuple[User, bool] | None:
    """The user of a verified token and whether that token was revoked; None when the user is gone."""
    row = await connection.fetchrow(SQL["session"], claims.user, claims.digest)
    return (_user(row), row["revoked"]) if row else None


async def void_tokens(connection: Connection, asked: Sequence[Claims]) -> list[int]:
    """Which of them, by index, stand for nobody any more: revoked, of before their user's epoch, user gone."""
    rows = await connection.fetch(
        SQL["void_tokens"],
        ids_array([claims.user for claims in asked]),
        bytes_array([claims.digest for claims in asked]),
        [claims.issued_at for claims in asked],
    )
    return [row["nth"] - 1 for row in rows]


async def revoke_token(connection: Connection, claims: Claims) -> None:
    await connection.execute(SQL["revoke_token"], claims.digest, claims.user, claims.expires_at)


async def forget_expired_tokens(connection: Connection) -> None:
    await connection.execute(SQL["forget_expired_tokens"])


async def set_password(connection: Connection, user: ObjectId, new_hash: str, old_hash: str) -> bool:
    """False when `old_hash` is no longer the user's: somebody else was faster."""
    return await connection.fetchval(SQL["set_password"], user, new_hash, old_hash) is not None


async def user_of_reset(connection: Connection, position: int, lifetime_minutes: int) -> User | None:
    """The user who asked for a reset at `position`, unless that was more than `lifetime_minutes` ago."""
    row = await connection.fetchrow(SQL["user_of_reset"], position, lifetime_minutes)
    return _user(row) if row else None
