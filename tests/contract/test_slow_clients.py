"""Clients that begin and do not end, and what comes between requests: one answer, the right one, or none."""

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import pytest

from tests.client import Person, fresh
from tests.conftest import Service
from tests.contract import raw
from tests.contract.conftest import House


@pytest.fixture
def impatient(start_service: Callable[..., Service]) -> Service:
    return start_service(NOSTRO_REQUEST_TIMEOUT_S="0.5")


@pytest.fixture
def connection(impatient: Service) -> Iterator[socket.socket]:
    parts = urlsplit(impatient.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=raw.PATIENCE_S) as opened:
        yield opened


def _until_the_end(connection: socket.socket) -> list[raw.RawAnswer]:
    return raw.answers_in(raw.until_closed(connection))


def _until_silent(connection: socket.socket) -> bytes:
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except TimeoutError:
        return received
    raise AssertionError("the server closed the connection")


PARTS = {
    "half a request line": b"POST /api/tra",
    "a head without an end": b"POST /api/transactions HTTP/1.1\r\nHost: x\r\n",
    "a hot request without its body": raw.request("POST", "/api/transactions", Content_Length="90"),
    "half a body": raw.request("POST", "/api/auth/login", Content_Length="90") + b'{"email":',
    "a chunk and no more": raw.request("POST", "/api/auth/login", Transfer_Encoding="chunked") + b"2\r\n{}\r\n",
}


@pytest.mark.parametrize("part", PARTS)
def test_what_does_not_arrive_in_time_is_told_so_and_cut_off(connection: socket.socket, part: str) -> None:
    connection.sendall(PARTS[part])
    [answer] = _until_the_end(connection)
    assert (answer.status, answer.json()["code"], answer.json()["retryable"]) == (408, "request_timeout", True)
    assert answer.headers["connection"] == "close"


def test_who_sends_a_letter_now_and_then_is_cut_off_as_well(connection: socket.socket) -> None:
    connection.settimeout(0.1)
    answer = b""
    for letter in b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 1000:
        try:
            connection.send(bytes([letter]))
            answer = connection.recv(65536)
            break
        except TimeoutError:
            continue
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_connection_outlives_the_time_that_a_request_may_take(connection: socket.socket) -> None:
    """The limit is on each request's arrival, not on the time between two."""
    asked = raw.request("GET", "/health", Connection="keep-alive")
    connection.settimeout(0.7)
    for _ in range(3):
        connection.sendall(asked)
        assert [answer.status for answer in raw.answers_in(_until_silent(connection))] == [200]


def test_two_hundred_slow_clients_keep_nobody_waiting(impatient: Service) -> None:
    parts = urlsplit(impatient.url)
    with ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=raw.PATIENCE_S))
            for _ in range(200)
        ]
        for one in slow:
            one.sendall(b"GET /health HTTP/1.1\r\nX: ")
        assert raw.exchange(impatient.url, raw.request("GET", "/health"))[0].status == 200
        assert {answer.status for one in slow for answer in _until_the_end(one)} == {408}


def _transfer(person: Person, account: str, other: str, key: str) -> bytes:
    body = {"fromAccount": account, "toAccount": other, "amount": 1, "idempotencyKey": key}
    headers = {"Authorization": f"Bearer {person.token}", "Content_Type": "application/json"}
    return raw.request(
        "POST", "/api/transactions", json.dumps(body).encode(), Connection="keep-alive", **headers
    )


@pytest.mark.parametrize("behind", [b"nonsense\r\n\r\n", b"\x16\x03\x01"], ids=["a word", "a line of TLS"])
@pytest.mark.parametrize("familiar", [False, True], ids=["the first", "a familiar one"])
def test_nonsense_behind_a_transfer_is_never_its_answer(house: House, behind: bytes, *, familiar: bool) -> None:
    """The transfer may well have happened: its client is told that it did, or nothing, but not 400."""
    person, account = house.funded(5)
    other, key = person.open_account(), fresh()
    before = _transfer(person, account, other, fresh()) if familiar else b""
    answers = raw.exchange(house.service.url, before + _transfer(person, account, other, key) + behind)
    statuses = [answer.status for answer in answers]
    assert statuses in ([], [201], [201, 400], [201, 201], [201, 201, 400])
    assert person.send(account, other, 1, key=key).status_code in (200, 201)
    assert person.balance(account) == 5 - 1 - familiar


def test_a_transfer_whose_answer_was_lost_is_made_once_when_it_is_sent_again(house: House) -> None:
    """The client is gone, with a reset: from before the request is read to after the commit."""
    person, account = house.funded(100)
    other, parts = person.open_account(), urlsplit(house.service.url)
    keys = [fresh() for _ in range(60)]
    for number, key in enumerate(keys):
        with socket.create_connection((parts.hostname, parts.port), timeout=raw.PATIENCE_S) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(_transfer(person, account, other, key))
            with suppress(TimeoutError):
                connection.settimeout(number / 10_000 or 0.0001)
                connection.recv(1)
    again = [person.send(account, other, 1, key=key) for key in keys]
    assert {answer.status_code for answer in again} <= {200, 201}
    assert 200 in {answer.status_code for answer in again}, "none of them arrived: this proves nothing"
    assert person.balance(account) == 100 - len(keys)
