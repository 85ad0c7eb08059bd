"""Real parts for every test: one PostgreSQL for the run, a database of its own for each test that asks, and
services started the way an operator starts them."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from nostro.domain.money import Currency
from nostro.embedded import EmbeddedPostgres, Server
from nostro.ledger.service import Ledger, open_ledger
from nostro.logs import configure_logs
from nostro.store.migrate import ensure_database, migrate

TEMPLATE = "nostro_template"
JWT_SECRET = "a-secret-that-only-the-tests-know-0123456789"
# A developer's own settings decide nothing here, least of all where mail goes.
OURS = ("NOSTRO_", "JWT_", "SMTP_", "EMAIL_", "CLIENT_", "REFRESH_", "OAUTH_")
_SOURCE = Path(__file__).parent.parent / "src"
_numbers = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def logs_of_the_service() -> None:
    """What is logged in this process looks as it does in the service. The library's own way of printing a
    traceback takes seconds, in the event loop, while batches have five."""
    configure_logs()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An embedded PostgreSQL for the whole run, with a migrated template database."""
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), role="service")
    server = embedded.start()
    try:
        asyncio.run(_make_template(server))
        yield server
    finally:
        embedded.stop()


async def _make_template(server: Server) -> None:
    await ensure_database(server.dsn(user="postgres", database="postgres"), TEMPLATE)
    await migrate(server.dsn(user="postgres", database=TEMPLATE))


@pytest.fixture
def database_url(postgres: Server) -> Iterator[str]:
    """A migrated database of the test's own. The login is the superuser; the service steps down from it."""
    name = f"test_{next(_numbers)}"
    asyncio.run(_run_sql(postgres, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))
    yield postgres.dsn(user="postgres", database=name)
    asyncio.run(_run_sql(postgres, f"DROP DATABASE {name} WITH (FORCE)"))


async def _run_sql(server: Server, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn(user="postgres", database="postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    """The ledger in this process, on a database of the test's own (mark the test with `anyio`)."""
    async with open_ledger(database_url, house_currency=Currency("INR", 2)) as opened:
        yield opened


@dataclass
class Service:
    """A running `nostro serve`: where it answers, its process, and what it wrote."""

    url: str
    process: "subprocess.Popen[str]"
    log: Path
    environment: dict[str, str]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal unless it has ended already; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def command(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """`nostro …` beside this service, with its settings."""
        return subprocess.run(
            [sys.executable, "-m", "nostro", *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def start(log: Path, *arguments: str, **environment: str) -> Service:
    """Start `nostro serve --port 0` with `environment` on top and wait until it says that it is ready."""
    given = {
        **{name: value for name, value in os.environ.items() if not name.startswith(OURS)},
        "PYTHONPATH": str(_SOURCE),
        "JWT_SECRET": JWT_SECRET,
        **environment,
    }
    with log.open("a") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "nostro", "serve", "--port", "0", *arguments],
            env=given,
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
        )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("NOSTRO READY "):
            return Service(line.split()[-1], process, log, given)
    process.wait()
    process.stdout.close()
    raise AssertionError(f"nostro serve ended with {process.returncode}: {log.read_text()}")


@pytest.fixture
def start_service(database_url: str, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts services on the test's own database; environment variables as keyword arguments."""
    started: list[Service] = []

    def launch(**environment: str) -> Service:
        log = tmp_path / f"service-{len(started)}.log"
        service = start(log, **{"NOSTRO_DATABASE_URL": database_url, **environment})
        started.append(service)
        return service

    yield launch
    for service in started:
        service.stop(signal.SIGKILL)
        if service.process.stdout:
            service.process.stdout.close()
