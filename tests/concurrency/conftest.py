"""Rivals: two ledgers with a committer each, or two services, on one database."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from nostro.embedded import Server
from nostro.ledger.service import Ledger, open_ledger
from tests.client import Client, Person
from tests.concurrency.bank import RUPEES, as_a_batch_of_one
from tests.conftest import TEMPLATE, Service, start

Rivals = tuple[Ledger, Ledger]


@pytest.fixture
async def rivals(database_url: str) -> AsyncIterator[Rivals]:
    """Two ledgers in this process on the test's own database, each with a committer of its own."""
    async with (
        open_ledger(database_url, house_currency=RUPEES) as one,
        open_ledger(database_url, house_currency=RUPEES) as other,
    ):
        yield one, other


class TwoServices:
    """Two service processes on one database, and the system user who funds everybody."""

    def __init__(self, services: list[Service], system: tuple[str, str]) -> None:
        self.services = services
        self._system = system
        self._clients: list[Client] = []

    def client(self, number: int) -> Client:
        self._clients.append(Client(self.services[number % 2].url))
        return self._clients[-1]

    def system(self) -> Person:
        return self.client(0).log_in(*self._system)

    def seen_from(self, person: Person, number: int) -> Person:
        """The same person with the same token, on a connection of its own to one of the two services."""
        return Person(self.client(number), person.id, person.email, person.password, person.token)

    def stop(self) -> list[int]:
        for client in self._clients:
            client.close()
        ended = [service.stop(signal.SIGTERM) for service in self.services]
        for service in self.services:
            if service.process.stdout:
                service.process.stdout.close()
        return ended


@pytest.fixture(scope="module")
def two_services(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoServices]:
    name = "two_services"
    logs = tmp_path_factory.mktemp(name)
    asyncio.run(_run_sql(postgres, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))
    url = postgres.dsn(user="postgres", database=name)
    services = [start(logs / f"{number}.log", NOSTRO_DATABASE_URL=url) for number in (1, 2)]
    system = ("system@example.com", "a system secret")
    made = services[0].command(
        *("user", "create", "--email", system[0], "--name", "System", "--password", "-", "--system"),
        stdin=f"{system[1]}\n",
    )
    assert made.returncode == 0, made.stderr
    both = TwoServices(services, system)
    yield both
    verified = services[0].command("verify")
    ended = both.stop()
    asyncio.run(_run_sql(postgres, f"DROP DATABASE {name} WITH (FORCE)"))
    assert verified.returncode == 0, verified.stdout
    assert ended == [0, 0]


async def _run_sql(server: Server, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn(user="postgres", database="postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


# The two forms of the statement that writes a batch on its short way (store/optimistic.py).
MANY, ONE = "write_if_unchanged", "write_one_if_unchanged"


@pytest.fixture(params=[ONE, MANY])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """In which form a transfer that comes alone is written: in its own, or as a batch of one."""
    if request.param == MANY:
        as_a_batch_of_one(monkeypatch)
    return str(request.param)
