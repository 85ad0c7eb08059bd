"""A second database, for what is to be done twice."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from nostro.embedded import Server
from tests.conftest import TEMPLATE


@pytest.fixture
def another_database_url(postgres: Server) -> Iterator[str]:
    """Like `database_url`, and not the same."""
    asyncio.run(_run_sql(postgres, f"CREATE DATABASE another TEMPLATE {TEMPLATE}"))
    yield postgres.dsn(user="postgres", database="another")
    asyncio.run(_run_sql(postgres, "DROP DATABASE another WITH (FORCE)"))


async def _run_sql(server: Server, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn(user="postgres", database="postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
