"""What one API process was told, all of them know: they share the database, where everything is judged."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.client import Client, Person, fresh
from tests.conftest import Service

pytestmark = pytest.mark.slow

# Each on a connection of its own: the kernel gives all of them to one of two processes once in 2^15 runs.
CLIENTS = 16


@pytest.fixture
def service(start_service: Callable[..., Service]) -> Iterator[Service]:
    started = start_service(NOSTRO_WORKERS="2")
    yield started
    assert started.stop() == 0


@pytest.fixture
def everywhere(service: Service) -> Iterator[list[Person]]:
    """One person, as seen from many connections."""
    clients = [Client(service.url) for _ in range(CLIENTS)]
    ann = clients[0].register("Ann")
    yield [Person(client, ann.id, ann.email, ann.password, ann.token) for client in clients]
    for client in clients:
        client.close()


def test_whoever_logs_out_at_one_process_is_logged_out_at_all_of_them(everywhere: list[Person]) -> None:
    """Each process has verified the token before, and remembers that its signature is good."""
    account = everywhere[0].open_account()
    assert [person.balance(account) for person in everywhere] == [0] * CLIENTS
    assert everywhere[0].post("/api/auth/logout", {}).status_code == 200
    for person in everywhere:
        answer = person.get(f"/api/accounts/balance/{account}")
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_one_key_sent_to_all_processes_at_once_moves_money_once(
    service: Service, everywhere: list[Person]
) -> None:
    one, other = (everywhere[0].open_account() for _ in range(2))
    made = service.command(
        *(
            "user",
            "create",
            "--email",
            "system@example.com",
            "--name",
            "System",
            "--password",
            "a system secret",
        ),
        "--system",
    )
    assert made.returncode == 0, made.stderr
    assert everywhere[0].client.log_in("system@example.com", "a system secret").fund(one, 10).status_code == 201
    key = fresh()
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(lambda person: person.send(one, other, 1, key=key), everywhere))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: CLIENTS - 1}
    assert [person.balance(other) for person in everywhere] == [1] * CLIENTS
