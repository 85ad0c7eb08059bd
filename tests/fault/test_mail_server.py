"""A mail server that is away, forgets to answer or sees its client killed: nothing is lost, and what comes
twice has one name.
"""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.client import Client
from tests.conftest import Service
from tests.contract.conftest import Tables
from tests.contract.mails import until
from tests.mail_server import MailServer, Received

pytestmark = pytest.mark.slow
WELCOME = "Welcome to Nostro!"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailServer]:
    running = MailServer(tmp_path).start()
    yield running
    running.stop()


@pytest.fixture
def tables(database_url: str) -> Iterator[Tables]:
    opened = Tables(database_url)
    yield opened
    opened.close()


def registered(client: Client, count: int) -> set[str]:
    return {client.register().email for _ in range(count)}


def reached(mails: list[Received]) -> set[str]:
    return {mail.recipient for mail in mails}


def names_of(mails: list[Received]) -> dict[str, set[str]]:
    """The Message-IDs under which each recipient got mail."""
    found: dict[str, set[str]] = {}
    for mail in mails:
        found.setdefault(mail.recipient, set()).add(mail.message_id)
    return found


def pending(tables: Tables) -> int:
    return int(tables.value("SELECT count(*) FROM deliveries WHERE status <> 'SENT'"))


def test_mail_of_a_time_without_a_server_arrives_once_it_is_back(
    start_service: Callable[..., Service], server: MailServer, tables: Tables
) -> None:
    server.stop()
    service = start_service(**server.environment())
    client = Client(service.url)
    people = registered(client, 12)
    tried = "SELECT count(*) FROM deliveries WHERE last_error LIKE '%cannot be reached%'"
    until(lambda: tables.value(tried), lambda count: count >= 2)
    assert "mail_server_fails" in service.log.read_text()
    assert client.request("GET", "/health").status_code == 200
    server.start()
    arrived = server.wait_until(lambda mails: reached(mails) == people)
    until(lambda: pending(tables), lambda count: count == 0)
    assert Counter(mail.recipient for mail in arrived) == Counter(people)
    assert "mail_server_back" in service.log.read_text()
    client.close()


def test_a_mail_whose_acceptance_was_not_heard_comes_again_under_its_name(
    start_service: Callable[..., Service], server: MailServer, tables: Tables
) -> None:
    service = start_service(**server.environment())
    client = Client(service.url)
    server.data_answers["ann@example.com"] = ["lost", "451 4.3.0 busy"]
    body = {"email": "ann@example.com", "password": "correct horse", "name": "Ann"}
    assert client.request("POST", "/api/auth/register", body).status_code == 201
    first, second = server.wait_until(lambda mails: len(mails) == 2)
    assert first.message_id == second.message_id
    assert (first.text, first.html) == (second.text, second.html)
    until(lambda: pending(tables), lambda count: count == 0)
    client.close()


def test_services_killed_while_they_send_lose_no_mail(
    start_service: Callable[..., Service], server: MailServer, tables: Tables
) -> None:
    """Killed as soon as a few mails of a round have arrived: some were sent and not marked, some claimed and
    not sent.
    """
    people: set[str] = set()
    for _ in range(8):
        service = start_service(**server.environment())
        client = Client(service.url)
        before = len(server.received)
        people |= registered(client, 6)
        server.wait_until(lambda mails, before=before: len(mails) >= before + 3)
        service.stop(signal.SIGKILL)
        client.close()
        # As if the time of their claims had passed.
        tables.script("UPDATE deliveries SET claimed_until = now() WHERE status = 'PENDING'")
    start_service(**server.environment())
    server.wait_until(lambda mails: reached(mails) == people)
    until(lambda: pending(tables), lambda count: count == 0)
    names = names_of(server.received)
    assert set(names) == people
    assert all(len(ids) == 1 for ids in names.values()), "a mail that came twice has one name"
    assert len({name for ids in names.values() for name in ids}) == len(people)
