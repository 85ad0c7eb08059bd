"""An external PostgreSQL: the oldest one supported, with a login that is no superuser."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from nostro.embedded import EmbeddedPostgres, Server
from nostro.store.migrate import MigrationError, migrate
from tests.client import Client
from tests.conftest import Service, start

_OLDEST = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Debian's PostgreSQL, as somebody else would run it: with an owner of the database who is no superuser."""
    if not _OLDEST:
        pytest.skip("Debian's postgresql is not installed")
    before = os.environ.get("NOSTRO_PG_BIN")
    os.environ["NOSTRO_PG_BIN"] = str(_OLDEST[0].parent)
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("oldest"), role="service")
    try:
        server = embedded.start()
    finally:
        if before is None:
            del os.environ["NOSTRO_PG_BIN"]
        else:
            os.environ["NOSTRO_PG_BIN"] = before
    yield server
    embedded.stop()


def _as_superuser(server: Server, *statements: str) -> None:
    async def work() -> None:
        connection = await asyncpg.connect(server.dsn(user="postgres", database="postgres"))
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(work())


def _a_transfer_goes_through(service: Service) -> None:
    made = service.command(
        *("user", "create", "--email", "system@example.com", "--name", "System"),
        *("--password", "a long secret", "--system"),
    )
    assert made.returncode == 0, made.stderr
    client = Client(service.url)
    system = client.log_in("system@example.com", "a long secret")
    ann, bob = client.register("Ann"), client.register("Bob")
    first, second = ann.open_account(), bob.open_account()
    assert system.fund(first, 10).status_code == 201
    assert ann.send(first, second, 4).status_code == 201
    assert ann.get("/api/transactions").json()["total"] == 2
    assert (ann.balance(first), bob.balance(second)) == (6, 4)
    client.close()
    verified = service.command("verify")
    assert verified.returncode == 0, verified.stdout


@pytest.mark.slow
def test_a_login_that_may_create_roles_needs_nothing_else(oldest: Server, tmp_path: Path) -> None:
    _as_superuser(
        oldest,
        "CREATE ROLE maker LOGIN CREATEROLE",
        "CREATE DATABASE made OWNER maker",
    )
    service = start(tmp_path / "log", NOSTRO_DATABASE_URL=oldest.dsn(user="maker", database="made"))
    try:
        _a_transfer_goes_through(service)
    finally:
        assert service.stop() == 0
        assert service.process.stdout is not None
        service.process.stdout.close()
        _as_superuser(oldest, "DROP DATABASE made WITH (FORCE)", "DROP ROLE nostro_runtime", "DROP ROLE maker")


@pytest.mark.slow
def test_a_login_without_that_right_is_told_what_an_administrator_must_do(
    oldest: Server, tmp_path: Path
) -> None:
    _as_superuser(oldest, "CREATE ROLE plain LOGIN", "CREATE DATABASE plainly OWNER plain")
    url = oldest.dsn(user="plain", database="plainly")
    refused = subprocess.run(
        [sys.executable, "-m", "nostro", "serve", "--port", "0"],
        env={**os.environ, "NOSTRO_DATABASE_URL": url, "NOSTRO_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    advice = refused.stderr.strip().splitlines()[-1]
    assert "CREATE ROLE nostro_runtime" in advice
    assert "Traceback" not in refused.stderr

    _as_superuser(oldest, "CREATE ROLE nostro_runtime", "GRANT nostro_runtime TO plain")
    service = start(tmp_path / "log", NOSTRO_DATABASE_URL=url)
    try:
        _a_transfer_goes_through(service)
    finally:
        assert service.stop() == 0
        assert service.process.stdout is not None
        service.process.stdout.close()
        _as_superuser(
            oldest, "DROP DATABASE plainly WITH (FORCE)", "DROP ROLE nostro_runtime", "DROP ROLE plain"
        )


def test_a_login_that_may_not_make_tables_is_told_so_and_leaves_nothing(postgres: Server) -> None:
    _as_superuser(
        postgres,
        "CREATE ROLE guest LOGIN",
        "DO $$ BEGIN CREATE ROLE nostro_runtime; EXCEPTION WHEN duplicate_object THEN END $$",
        "CREATE DATABASE visited",
    )
    url = postgres.dsn(user="guest", database="visited")
    try:
        with pytest.raises(MigrationError, match=r"permission denied for schema public\.$"):
            asyncio.run(migrate(url))
        assert asyncio.run(_tables(url)) == 0
    finally:
        _as_superuser(postgres, "DROP DATABASE visited WITH (FORCE)", "DROP ROLE guest")


async def _tables(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(
            await connection.fetchval(
                "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            )
        )
    finally:
        await connection.close()
