"""Run as a process of its own, by migrate.py: the numbered plain-SQL steps, carried out by Alembic.

What Alembic and SQLAlchemy take (a second to load, 22 MB) is gone when it ends. Reads the database's URL from
standard input, where no list of processes shows it; says in one line on standard error what went wrong.
"""

import asyncio
import sys
from importlib.resources import files
from typing import Any

import asyncpg
from alembic import command, op
from alembic.config import Config
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from nostro.store.database import RUNTIME_ROLE


async def upgrade(dsn: str) -> None:
    """All steps that are missing, in one transaction. The caller holds the lock, and has made the role."""
    config = Config()
    config.set_main_option("script_location", str(files(__package__).joinpath("migrations")))
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(dsn), poolclass=NullPool
    )

    def run(connection: Any) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


def run_script(name: str) -> None:
    """Run one .sql file of migrations/ inside Alembic's transaction.

    On the driver's own connection: SQLAlchemy would prepare it, and only single statements can be prepared.
    """
    script = files(__package__).joinpath("migrations", name).read_text("utf-8")
    driver = op.get_bind().connection.driver_connection
    assert driver is not None, "Alembic runs on an open connection"
    await_only(driver.execute(script))
    await_only(driver.execute(f"GRANT SELECT ON alembic_version TO {RUNTIME_ROLE}"))


def main() -> None:
    try:
        asyncio.run(upgrade(sys.stdin.read()))
    except (asyncpg.PostgresError, DBAPIError) as error:
        # PostgreSQL's own sentence. What else may go wrong is told by its kind: it may quote the URL.
        sys.exit(str(getattr(error, "orig", error)).partition("\n")[0])
    except (OSError, ValueError, asyncpg.InterfaceError) as error:
        sys.exit(type(error).__name__)


if __name__ == "__main__":
    main()
