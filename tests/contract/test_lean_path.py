"""The short cut and the ordinary path answer the same, whatever is sent.

A header that changes nothing (`Sec-Fetch-Site: none`, as a browser sends for a typed address) makes a request
too special for the lean path; without it the same request may take it.
"""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from nostro.api.authentication import Origins, Tokens
from nostro.api.desk import Desk
from nostro.api.lean import LeanPath
from nostro.domain.destination import Destinations
from nostro.domain.money import Currency
from nostro.ledger.mail_preferences import MailReaders
from nostro.ledger.resets import PasswordResets
from nostro.ledger.service import Ledger
from nostro.ledger.streams import StreamLimits, Streams
from nostro.ledger.webhooks import Webhooks, webhook_seal
from nostro.settings import DialectName
from tests.client import Person, fresh
from tests.contract import raw
from tests.contract.conftest import House

ORDINARY = {"Sec-Fetch-Site": "none"}
# What may differ between two answers to the same request, sent twice: when, and which transaction.
CHANGING = {"_id", "id", "createdAt", "effectiveAt", "updatedAt", "expiresAt"} | {
    *("parent", "position", "idempotencyKey", "transaction"),
}


@pytest.fixture
def people(house: House) -> tuple[Person, str, str]:
    """Ann, logged in and known to the service, with two accounts, of which the first holds 1,000."""
    ann, first = house.funded(1000)
    ann.get("/api/auth/me")
    return ann, first, ann.open_account()


def _comparable(answer: httpx2.Response) -> tuple[int, dict[str, Any], dict[str, str]]:
    body = answer.json()
    moved = body.get("transaction")
    shown = {name: value for name, value in body.items() if name not in CHANGING}
    if moved:
        shown["moved"] = {name: value for name, value in moved.items() if name not in CHANGING}
    headers = {n: v for n, v in answer.headers.items() if n not in {"date", "content-length"}}
    return answer.status_code, shown, headers


def _both(person: Person, method: str, path: str, body: bytes | None) -> tuple[Any, Any]:
    headers = {"Content-Type": "application/json"} if body is not None else {}
    return tuple(
        _comparable(
            person.client.request(method, path, token=person.token, content=body, headers=headers | special)
        )
        for special in ({}, ORDINARY)
    )  # type: ignore[return-value]


BODIES = [
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"{k}"}}',
    '{{"idempotencyKey":"{k}","amount":"1.50","toAccount":"{b}","fromAccount":"{a}"}}',
    ' {{ "fromAccount" : "{a}" , "toAccount":"{b}", "amount": 0.01, "idempotencyKey":"{k}" }} ',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":5000,"idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{a}","toAccount":"{a}","amount":1,"idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{b}","toAccount":"{a}","amount":1.005,"idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{z}","toAccount":"{a}","amount":1,"idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{a}","toAccount":"{z}","amount":1,"idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"amount":2,"idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"{k}","note":"x"}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"{k}\\u0041"}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1e2,"idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":"\uff11","idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":-1,"idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":0,"idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":null,"idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":true,"idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":[1],"idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":"","idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":""}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"ü{k}"}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":7}}',
    '{{"fromAccount":"xyz","toAccount":"{b}","amount":1,"idempotencyKey":"{k}"}}',
    '{{"fromAccount":["{a}"],"toAccount":"{b}","amount":1,"idempotencyKey":"{k}"}}',
    '{{"toAccount":"{b}","amount":1,"idempotencyKey":"{k}"}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"{k}"',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"{k}","hold":true}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":"1.50","idempotencyKey":"{k}","hold":true,"expiresIn":60}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"{k}","hold":true,"expiresIn":60.0}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"{k}","hold":true,"expiresIn":6e1}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"{k}","hold":true,"expiresIn":0}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"{k}","hold":true,"expiresIn":null}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"{k}","hold":true,"hold":true}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"{k}","hold":false}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"{k}","hold":1}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"{k}","expiresIn":60}}',
    '{{"fromAccount":"{a}","toAccount":"{b}","amount":1,"idempotencyKey":"{k} hold expiresIn"}}',
    '[{{"fromAccount":"{a}"}}]',
    "{{}}",
    "",
]  # fmt: skip


@pytest.mark.parametrize("template", BODIES)
def test_a_transfer_is_answered_alike_on_both_paths(people: tuple[Person, str, str], template: str) -> None:
    ann, first, second = people
    answers = []
    for special in ({}, ORDINARY):
        body = template.format(a=first, b=second, z="0" * 24, k=fresh())
        headers = {"Content-Type": "application/json", **special}
        answer = ann.client.request(
            "POST", "/api/transactions", token=ann.token, content=body.encode(), headers=headers
        )
        answers.append(_comparable(answer))
        if answer.status_code == 201:  # put it back, so that the other path sees the same balance
            ann.send(second, first, answer.json()["transaction"]["amount"])
    assert answers[0] == answers[1]


CAPTURES = [
    '{{"idempotencyKey":"{k}"}}',
    '{{"idempotencyKey":"{k}","amount":2}}',
    '{{"amount":"2.50","final":true,"idempotencyKey":"{k}"}}',
    '{{"idempotencyKey":"{k}","amount":null}}',
    '{{"idempotencyKey":"{k}","amount":50}}',
    '{{"idempotencyKey":"{k}","amount":1.005}}',
    '{{"idempotencyKey":"{k}","amount":0}}',
    '{{"idempotencyKey":"{k}","amount":""}}',
    '{{"idempotencyKey":"{k}","final":"true"}}',
    '{{"idempotencyKey":"{k}","final":true,"final":false}}',
    '{{"idempotencyKey":"amount","amount":1,"amount":2}}',
    '{{"idempotencyKey":"{k}","dryRun":true}}',
    '{{"idempotencyKey":""}}',
    "{{}}",
    "",
]


@pytest.mark.parametrize("template", CAPTURES)
def test_a_capture_is_answered_alike_on_both_paths(people: tuple[Person, str, str], template: str) -> None:
    ann, first, second = people
    answers = []
    for special in ({}, ORDINARY):
        sent = {"fromAccount": first, "toAccount": second, "amount": 5, "idempotencyKey": fresh(), "hold": True}
        hold = ann.post("/api/transactions", sent).json()["transaction"]["_id"]
        answer = ann.client.request(
            "POST",
            f"/api/transactions/{hold}/capture",
            token=ann.token,
            content=template.format(k=fresh()).encode(),
            headers={"Content-Type": "application/json", **special},
        )
        said = _comparable(answer)
        said[1].pop("instance", None)
        said[1].pop("balances", None)
        answers.append(said)
        ann.post(f"/api/transactions/{hold}/void")
    assert answers[0] == answers[1]


@pytest.mark.parametrize("hold", ["0" * 24, "no-id", ""])
def test_a_capture_of_nothing_is_answered_alike_on_both_paths(
    people: tuple[Person, str, str], hold: str
) -> None:
    body = b'{"idempotencyKey":"one"}'
    lean, ordinary = _both(people[0], "POST", f"/api/transactions/{hold}/capture", body)
    assert lean == ordinary
    assert lean[0] in {400, 404, 405}


def test_a_replay_is_answered_alike_on_both_paths(people: tuple[Person, str, str]) -> None:
    ann, first, second = people
    body = {"fromAccount": first, "toAccount": second, "amount": 3, "idempotencyKey": fresh()}
    sent = json.dumps(body).encode()
    assert ann.send(first, second, 3, body["idempotencyKey"]).status_code == 201
    lean, ordinary = _both(ann, "POST", "/api/transactions", sent)
    assert lean == ordinary
    assert lean[0] == 200
    assert lean[2]["idempotency-replayed"] == "true"


@pytest.mark.parametrize("account", ["{a}", "{z}", "xyz", "{a}%00", "%7Ba%7D"])
def test_a_balance_is_answered_alike_on_both_paths(people: tuple[Person, str, str], account: str) -> None:
    ann, first, _ = people
    path = f"/api/accounts/balance/{account.format(a=first, z='0' * 24)}"
    lean, ordinary = _both(ann, "GET", path, None)
    assert lean == ordinary


def test_a_revoked_token_is_refused_on_both_paths(people: tuple[Person, str, str]) -> None:
    ann, first, second = people
    body = {"fromAccount": first, "toAccount": second, "amount": 3, "idempotencyKey": fresh()}
    ann.post("/api/auth/logout")
    for method, path, sent in (
        ("POST", "/api/transactions", json.dumps(body).encode()),
        ("GET", f"/api/accounts/balance/{first}", None),
    ):
        lean, ordinary = _both(ann, method, path, sent)
        assert lean == ordinary
        assert lean[0] == 401


@pytest.mark.anyio
async def test_a_plain_transfer_and_a_plain_balance_take_the_short_cut(ledger: Ledger) -> None:
    """Without this the tests above could compare the ordinary path with itself."""
    tokens = Tokens(b"a secret of this test" * 2, 3600)
    resets = PasswordResets(ledger.database, ledger.users.passwords, b"")
    webhooks = Webhooks(ledger.database, webhook_seal(b""), Destinations())
    limits = StreamLimits(per_process=1, per_user=1, heartbeat_s=15)
    streams = Streams(ledger.database, limits, ledger.counts, ledger.recent)
    readers = MailReaders(ledger.database, b"")
    origins = Origins([], development=True)
    desk = Desk(ledger, tokens, origins, DialectName.BACKEND_LEDGER, resets, readers, streams, webhooks)
    lean = LeanPath(desk)
    ann = await ledger.users.register("ann@example.com", "correct horse", "Ann")
    first, second = [(await ledger.accounts.open(ann, Currency("INR", 2), None)).id.hex() for _ in range(2)]
    token = tokens.mint(ann.id, ann.role, ann.token_epoch)
    tokens.verify(token)
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/json")]
    body = {"fromAccount": first, "toAccount": second, "amount": 1, "idempotencyKey": "k"}

    for method, path, sent, status, said in (
        ("POST", "/api/transactions", json.dumps(body).encode(), 400, b"insufficient_funds"),
        ("GET", f"/api/accounts/balance/{first}", b"", 200, b'"balance":0'),
    ):
        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
        assert lean.may_take(scope)
        pending = lean.take(scope, sent)
        assert pending is not None
        assert not lean.may_take(scope | {"query_string": b"effectiveAt=2026-01-01T00:00:00Z"})
        answered = pending.answered(await pending.future)
        assert answered.status == status
        assert said in answered.body


def test_requests_sent_without_waiting_are_answered_in_their_order(
    people: tuple[Person, str, str], house: House
) -> None:
    ann, first, second = people
    place = urlsplit(house.service.url)
    requests = b""
    for number in range(5):
        body = json.dumps(
            {"fromAccount": first, "toAccount": second, "amount": number + 1, "idempotencyKey": fresh()}
        ).encode()
        requests += (
            b"POST /api/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s" % (ann.token.encode(), len(body), body)
        )
        requests += b"GET /health HTTP/1.1\r\nHost: x\r\n%s\r\n" % (
            b"Connection: close\r\n" if number == 4 else b""
        )
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(requests)
        received = raw.until_closed(connection)
    amounts = [part.split(b",")[0] for part in received.split(b'"amount":')[1:]]
    assert amounts == [b"1", b"2", b"3", b"4", b"5"]
    assert received.count(b"HTTP/1.1 200 OK") == 5


class Kept:
    """One kept-alive connection, by hand."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self.socket = socket.create_connection((place.hostname, place.port), timeout=20)
        self._received = b""

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def answer(self) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON of the next answer."""
        while b"\r\n\r\n" not in self._received:
            self._more()
        head, _, rest = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers["content-length"])
        while len(rest) < length:
            self._more()
            rest = self._received.partition(b"\r\n\r\n")[2]
        self._received = rest[length:]
        return int(first.split()[1]), headers, json.loads(rest[:length])

    def _more(self) -> None:
        piece = self.socket.recv(65536)
        assert piece, "the connection was closed"
        self._received += piece


@pytest.fixture
def kept(house: House) -> Iterator[Kept]:
    connection = Kept(house.service.url)
    yield connection
    connection.socket.close()


def _transfer(ann: Person, source: str, target: str, amount: object = 1, *lines: str) -> bytes:
    body = json.dumps({"fromAccount": source, "toAccount": target, "amount": amount, "idempotencyKey": fresh()})
    said = ["POST /api/transactions HTTP/1.1", "Host: x", *lines, "Content-Type: application/json"]
    said += [f"Authorization: Bearer {ann.token}", f"Content-Length: {len(body)}", "", body]
    return "\r\n".join(said).encode()


def _shown(answer: tuple[int, dict[str, str], Any]) -> tuple[int, set[str], dict[str, Any]]:
    status, headers, document = answer
    changing = CHANGING | {"available", "shortfall", "message", "detail"}
    return status, headers.keys(), {name: value for name, value in document.items() if name not in changing}


@pytest.mark.parametrize("amount", [1, 10_000, 1.005, "x"])
def test_a_familiar_request_is_answered_as_it_was_when_it_was_parsed(
    people: tuple[Person, str, str], kept: Kept, amount: object
) -> None:
    ann, first, second = people
    line = f"X-Test: {fresh()}"
    answers = []
    for _ in range(3):
        kept.send(_transfer(ann, first, second, amount, line))
        answers.append(_shown(kept.answer()))
        kept.send(_transfer(ann, first, second, 1, line))  # from here on the head is familiar
        assert kept.answer()[0] == 201
    assert answers[1] == answers[0]
    assert answers[2] == answers[0]


def _make_familiar(kept: Kept, ann: Person, first: str, second: str) -> None:
    """The parser reads the first one and the head is remembered; the second needs no parser."""
    for _ in range(2):
        kept.send(_transfer(ann, first, second))
        assert kept.answer()[0] == 201


def test_familiar_requests_keep_their_order_however_they_arrive(
    people: tuple[Person, str, str], kept: Kept
) -> None:
    ann, first, second = people
    _make_familiar(kept, ann, first, second)
    whole = [_transfer(ann, first, second, amount) for amount in range(1, 8)]
    kept.send(whole[0] + whole[1], whole[2][:30], whole[2][30:], whole[3] + whole[4][:-5], whole[4][-5:])
    kept.send(whole[5], whole[6])
    assert [kept.answer()[2]["transaction"]["amount"] for _ in whole] == [1, 2, 3, 4, 5, 6, 7]


def test_what_follows_a_familiar_request_is_not_read_as_its_body(
    people: tuple[Person, str, str], kept: Kept
) -> None:
    ann, first, second = people
    _make_familiar(kept, ann, first, second)
    kept.send(_transfer(ann, first, second) + b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [kept.answer()[0], kept.answer()[0]] == [201, 404]


def test_a_familiar_head_says_nothing_about_the_token(people: tuple[Person, str, str], kept: Kept) -> None:
    ann, first, second = people
    _make_familiar(kept, ann, first, second)
    for forged in ("", "x", ann.token[:-2] + "xx", ann.token + "x"):
        kept.send(_transfer(ann, first, second).replace(ann.token.encode(), forged.encode()))
        assert kept.answer()[0] == 401
    ann.post("/api/auth/logout")
    kept.send(_transfer(ann, first, second))
    assert kept.answer()[0] == 401
