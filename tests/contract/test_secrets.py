"""Secrets: a password, a token and the database's password stay where they belong, whatever goes wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
from argon2 import extract_parameters

from nostro.embedded import Server
from tests.client import Person, fresh
from tests.conftest import JWT_SECRET, Service, start
from tests.contract.conftest import House
from tests.contract.tokens import claims, signed

DATABASE_PASSWORD = "canary-of-the-database"


@pytest.fixture(scope="module")
def played(open_house: Callable[..., House]) -> tuple[House, list[str], list[str]]:
    """A service that logs everything, after every flow that sees a secret; the secrets, and all it answered."""
    house = open_house(NOSTRO_LOG_LEVEL="debug")
    password, wrong, token = fresh("canary-password"), fresh("canary-wrong"), fresh("canary-token")
    email = f"{fresh('secret')}@example.com"
    who = {"email": email, "password": password, "name": "S"}
    said = []

    def ask(path: str, body: object = None, content: bytes | None = None, **headers: str) -> str:
        answer = house.client.request("POST", path, body, content=content, headers=headers)
        said.append(f"{answer.text} {dict(answer.headers)}")
        return answer.text

    ask("/api/auth/register", who)
    ask("/api/auth/register", who)
    ask("/api/auth/register", who | {"email": "nonsense"})
    ask("/api/auth/register", who | {"name": {"password": password}})
    ask("/api/auth/register", {"email": f"{fresh()}@example.com", "password": password, "name": "a\x00b"})
    ask("/api/auth/login", {"email": email, "password": wrong})
    ask("/api/auth/login", {"email": email, "password": [password]})
    ask("/api/auth/login", content=f'{{"password":"{password}"'.encode())
    ask("/api/auth/register", content=f"password={password}".encode(), Content_Type="text/plain")
    ask("/api/accounts", None, Authorization=f"Bearer {token}")
    ask("/api/transactions", {"amount": 1}, Cookie=f"token={token}")
    ask("/api/auth/logout", None, Authorization=f"Bearer {token}")
    # The database refuses a row: its message quotes the row, and must not get any further.
    house.tables.script("ALTER TABLE users ADD CONSTRAINT refuses_all CHECK (name <> 'Refused')")
    assert "internal_error" in ask(
        "/api/auth/register", {"email": f"{fresh()}@example.com", "password": password, "name": "Refused"}
    )
    house.tables.script("ALTER TABLE users DROP CONSTRAINT refuses_all")
    person = house.client.log_in(email, password)
    assert person.post("/api/auth/logout").status_code == 200
    said.append(person.get("/api/accounts").text)
    return house, [password, wrong, token, person.token, JWT_SECRET, "$argon2"], said


def test_no_answer_repeats_a_secret(played: tuple[House, list[str], list[str]]) -> None:
    _, (password, wrong, token, _, secret, argon2), said = played
    for canary in (password, wrong, token, secret, argon2):
        assert not [answer for answer in said if canary in answer]


def test_the_services_log_holds_no_secret(played: tuple[House, list[str], list[str]]) -> None:
    house, canaries, _ = played
    log = house.service.log.read_text()
    assert "request_failed" in log, "the failure itself is logged"
    assert not [canary for canary in canaries if canary in log]


def test_postgresqls_log_holds_no_secret(postgres: Server, played: tuple[House, list[str], list[str]]) -> None:
    logs = [path for path in Path(postgres.data_dir).rglob("*.log*") if path.is_file()]
    assert logs
    text = "".join(path.read_text(errors="replace") for path in logs)
    assert not [canary for canary in played[1] if canary in text]


def test_a_password_is_stored_only_as_argon2id(played: tuple[House, list[str], list[str]]) -> None:
    house, canaries, _ = played
    rows = house.tables.rows("SELECT password_hash FROM users")
    assert rows
    for row in rows:
        parameters = extract_parameters(row["password_hash"])
        assert parameters.type.name == "ID"
        assert (parameters.memory_cost, parameters.time_cost) >= (19456, 2)
    for table in ("users", "accounts", "transactions", "events", "entries", "revoked_tokens"):
        text = str([dict(row) for row in house.tables.rows(f"SELECT * FROM {table}")])
        assert not [canary for canary in canaries[:-1] if canary in text], table


def test_two_people_with_one_password_have_different_hashes(house: House) -> None:
    people = [house.client.register() for _ in range(2)]
    hashes = house.tables.rows(
        "SELECT password_hash FROM users WHERE email = ANY($1)", [p.email for p in people]
    )
    assert len({row["password_hash"] for row in hashes}) == 2


def test_what_a_user_is_told_of_users_holds_no_hash(house: House) -> None:
    person: Person = house.client.register()
    told = [
        person.get("/api/auth/me").text,
        house.system.get(f"/api/accounts/by-email/{person.email}").text,
        house.service.command("user", "list", "--json").stdout,
    ]
    assert not [text for text in told if "argon2" in text or "password" in text]


# ── the database's password ──────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def with_password(postgres: Server, new_database: Callable[[], str]) -> str:
    """An address with a password in it, as an operator writes it."""
    name = new_database().rpartition("/")[2].partition("?")[0]
    where = f"host={postgres.socket_dir}&port={postgres.port}"
    return f"postgresql://postgres:{DATABASE_PASSWORD}@/{name}?{where}"


def with_database(service: Service, address: str) -> Service:
    """The same service's settings, but for the database."""
    return Service(
        service.url, service.process, service.log, service.environment | {"NOSTRO_DATABASE_URL": address}
    )


@pytest.mark.slow
def test_config_shows_no_secret(house: House, with_password: str) -> None:
    for arguments in (("config",), ("config", "--json")):
        shown = with_database(house.service, with_password).command(*arguments)
        assert shown.returncode == 0
        assert "NOSTRO_DATABASE_URL" in shown.stdout
        assert DATABASE_PASSWORD not in shown.stdout + shown.stderr
        assert JWT_SECRET not in shown.stdout + shown.stderr


def test_a_service_that_runs_says_nothing_of_the_databases_password(with_password: str, tmp_path: Path) -> None:
    service = start(tmp_path / "log", NOSTRO_DATABASE_URL=with_password, NOSTRO_LOG_LEVEL="debug")
    assert service.stop() == 0
    assert service.process.stdout
    said = service.process.stdout.read() + service.log.read_text()
    service.process.stdout.close()
    assert DATABASE_PASSWORD not in said


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://postgres:{DATABASE_PASSWORD}@127.0.0.1:1/nostro",
        f"postgresql://postgres:{DATABASE_PASSWORD}@127.0.0.1:port/nostro",
        f"postgresql://postgres:{DATABASE_PASSWORD}@/nostro?host=/nowhere",
        f"mysql://root:{DATABASE_PASSWORD}@127.0.0.1/nostro",
    ],
)
def test_a_database_that_cannot_be_reached_is_told_in_a_sentence_without_its_password(
    house: House, address: str
) -> None:
    done = with_database(house.service, address).command("account", "list", "--json")
    assert done.returncode == 1
    assert DATABASE_PASSWORD not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_forged_token_is_in_no_log(house: House) -> None:
    token = signed(claims("0" * 24, note=fresh("canary")), key="another")
    house.client.request("GET", "/api/accounts", token=token)
    assert token not in house.service.log.read_text()
