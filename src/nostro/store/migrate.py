"""Bring a database to the newest schema, by numbered plain-SQL steps (upgrade.py), under one lock."""

import asyncio
import os
import sys
from typing import Any

import asyncpg

from nostro.store.database import CONNECT_TIMEOUT_S, RUNTIME_ROLE

HEAD = "0011"
# Any constant: it keeps parallel starts from migrating at once. Correctness of money never rests on it.
_MIGRATION_LOCK = 0x6E6F7374726F


class MigrationError(Exception):
    """One sentence for the operator: what the database or its login lacks."""


async def migrate(dsn: str) -> None:
    """Holds afterwards: the schema is `HEAD`. Safe to call from several processes at once.

    Raises `MigrationError` when the database cannot be reached or its login may not do what is needed.
    """
    connection = await _connect(dsn)
    try:
        if await _revision(connection) == HEAD:
            return
        await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)
        if await _revision(connection) == HEAD:
            return
        await _ensure_runtime_role(connection)
        await _upgrade(dsn)
    finally:
        await connection.close()


async def _connect(dsn: str) -> Any:
    try:
        return await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # The reason is told by its kind: a message may quote the URL, and the URL holds the password.
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise MigrationError(f"The database cannot be reached ({reason}); see NOSTRO_DATABASE_URL.") from error


async def ensure_database(dsn: str, name: str) -> None:
    """Create the database `name` on the server that `dsn` (to its maintenance database) leads to."""
    connection = await _connect(dsn)
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        pass  # another process made it between the look and the CREATE
    finally:
        await connection.close()


async def _revision(connection: Any) -> str | None:
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    return str(revision) if revision else None


async def _ensure_runtime_role(connection: Any) -> None:
    """The role the service runs as, which the login may become."""
    if await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", RUNTIME_ROLE):
        return
    try:
        await connection.execute(f"CREATE ROLE {RUNTIME_ROLE} LOGIN NOSUPERUSER NOINHERIT")
        await connection.execute(f"GRANT {RUNTIME_ROLE} TO CURRENT_USER")
    except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
        pass  # roles belong to the whole server: another database's first start was faster
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationError(
            f"The database login may not create roles. Let an administrator run, once: "
            f"CREATE ROLE {RUNTIME_ROLE}; GRANT {RUNTIME_ROLE} TO the login in NOSTRO_DATABASE_URL."
        ) from error


async def _upgrade(dsn: str) -> None:
    """Raises `MigrationError` with what PostgreSQL said; nothing was changed then."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "nostro.store.upgrade",
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        _, said = await process.communicate(dsn.encode())
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        lines = said.decode(errors="replace").split("\n")
        reason = next((line for line in reversed(lines) if line), f"ended with {process.returncode}")
        raise MigrationError(f"The database could not be brought to the newest schema: {reason}.")
