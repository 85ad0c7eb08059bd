"""Whether a PostgreSQL server keeps what it acknowledges, and whether the login is as small as it can be."""

import asyncpg

from nostro.store.database import CONNECT_TIMEOUT_S

_CHECKS = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "remote_write", "remote_apply", "local"),
}


async def unsafe_settings(dsn: str) -> list[str]:
    """A sentence for everything about the server or the login that could lose or endanger money."""
    connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S)
    try:
        findings = [
            f"{name} is {value}, so an acknowledged transfer could be lost"
            for name, safe in _CHECKS.items()
            if (value := await connection.fetchval("SELECT current_setting($1)", name)) not in safe
        ]
        if await connection.fetchval("SELECT pg_is_in_recovery()"):
            findings.append("the server is a standby, which cannot be written to")
        if await connection.fetchval("SELECT usesuper FROM pg_user WHERE usename = session_user"):
            findings.append("the login is a superuser, whom no constraint binds")
    finally:
        await connection.close()
    return findings
