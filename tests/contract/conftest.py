"""Services shared by all contract tests: one per dialect, started when first asked for, each on a database of
its own, with a system user and a superuser's view of its tables."""

import asyncio
import itertools
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from nostro.embedded import Server
from tests.client import Client, Person, fresh
from tests.conftest import TEMPLATE, Service, start

SYSTEM_EMAIL, SYSTEM_PASSWORD = "system@example.com", "a system secret"
DIALECTS = ("backend-ledger", "ledgerflow", "banking-ledger")
_numbers = itertools.count(1)


class Tables:
    """A superuser's view of one database: what was stored, and a way to set up what HTTP cannot."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._runner = asyncio.Runner()
        self._connection: Any = self._runner.run(asyncpg.connect(dsn))

    def rows(self, statement: str, *values: object) -> list[Any]:
        return list(self._runner.run(self._connection.fetch(statement, *values)))

    def value(self, statement: str, *values: object) -> Any:
        return self._runner.run(self._connection.fetchval(statement, *values))

    def script(self, statements: str) -> None:
        self._runner.run(self._connection.execute(statements))

    def position(self) -> int:
        """The journal's head: it moves with everything that is stored, transfers and events alike."""
        return int(self.value("SELECT position FROM journal_head"))

    def wait_for_expiry(self, hold: str) -> None:
        """Until the clock of the database, the only one that counts, is past the expiry of the hold."""
        self.script(
            "SELECT pg_sleep(extract(epoch FROM greatest(expires_at - clock_timestamp(), '0 s')) + 0.01) "
            f"FROM transactions WHERE id = '\\x{hold}'"
        )

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()


@dataclass
class House:
    """One running service, its client, its system user, its tables."""

    service: Service
    client: Client
    system: Person
    tables: Tables
    _staff: dict[str, Person] = field(default_factory=dict)

    def staff(self, role: str) -> Person:
        """The operator or the auditor of the house, made by the command line when first asked for."""
        if role not in self._staff:
            email = f"{fresh(role)}@example.com"
            created = self.service.command(
                *("user", "create", "--email", email, "--name", role, "--password", "a long secret"),
                f"--{role}",
            )
            assert created.returncode == 0, created.stderr
            self._staff[role] = self.client.log_in(email, "a long secret")
        return self._staff[role]

    def funded(self, amount: object = 100, name: str = "Ann", **fields: object) -> tuple[Person, str]:
        """A new person with one account that holds `amount`."""
        person = self.client.register(name)
        account = person.open_account(**fields)
        answer = self.system.fund(account, amount)
        assert answer.status_code == 201, answer.text
        return person, account


@pytest.fixture(scope="session")
def new_database(postgres: Server) -> Iterator[Callable[[], str]]:
    """Makes databases from the migrated template; they go when the run ends."""
    administration = Tables(postgres.dsn(user="postgres", database="postgres"))
    made: list[str] = []

    def make() -> str:
        name = f"contract_{next(_numbers)}"
        administration.script(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        made.append(name)
        return postgres.dsn(user="postgres", database=name)

    yield make
    for name in made:
        administration.script(f"DROP DATABASE {name} WITH (FORCE)")
    administration.close()


@pytest.fixture(scope="session")
def open_house(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., House]]:
    """Starts a service on a new database (or on `database`), with a system user unless it has one."""
    opened: list[House] = []

    def make(database: str | None = None, **environment: str) -> House:
        dsn = database or new_database()
        log = tmp_path_factory.mktemp("service") / "service.log"
        service = start(log, NOSTRO_DATABASE_URL=dsn, **environment)
        if database is None:
            made = service.command(
                *("user", "create", "--email", SYSTEM_EMAIL, "--name", "System", "--password", "-", "--system"),
                stdin=f"{SYSTEM_PASSWORD}\n",
            )
            assert made.returncode == 0, made.stderr
        client = Client(service.url)
        house = House(service, client, client.log_in(SYSTEM_EMAIL, SYSTEM_PASSWORD), Tables(dsn))
        opened.append(house)
        return house

    yield make
    for house in opened:
        house.client.close()
        house.tables.close()
        house.service.stop(signal.SIGKILL)
        if house.service.process.stdout:
            house.service.process.stdout.close()


@pytest.fixture(scope="session")
def house_of(open_house: Callable[..., House]) -> Callable[[str], House]:
    """The one house of a dialect."""
    houses: dict[str, House] = {}

    def find(dialect: str) -> House:
        if dialect not in houses:
            houses[dialect] = open_house(NOSTRO_DIALECT=dialect)
        return houses[dialect]

    return find


@pytest.fixture(scope="session")
def house(house_of: Callable[[str], House]) -> House:
    """The house of the default dialect."""
    return house_of("backend-ledger")


@pytest.fixture(scope="module")
def staff(house: House) -> Callable[[str], Person]:
    """A user of the house with a role that only the command line gives."""
    return house.staff
