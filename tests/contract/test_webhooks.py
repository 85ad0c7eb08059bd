"""Webhooks as a receiver sees them: a running service, and a real server that its events are sent to."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from tests.client import Client, Person, fresh
from tests.contract.conftest import House
from tests.sink import Received, Reply, Sink

ALLOW = "127.0.0.0/8"


@pytest.fixture(scope="module")
def bank(open_house: Callable[..., House]) -> House:
    return open_house(NOSTRO_WEBHOOK_ALLOW=ALLOW, NOSTRO_LOG_LEVEL="debug")


@pytest.fixture
def sink() -> Iterator[Sink]:
    opened = Sink()
    yield opened
    opened.close()


@dataclass
class Hook:
    """A webhook and who receives what it is sent."""

    person: Person
    sink: Sink
    id: str
    secret: str

    @property
    def path(self) -> str:
        return f"/api/webhooks/{self.id}"

    def look(self) -> dict[str, Any]:
        return dict(self.person.get(self.path).json()["webhook"])

    def deliveries(self) -> list[dict[str, Any]]:
        return list(self.person.get(f"{self.path}/deliveries").json()["deliveries"])

    def attempts(self) -> list[dict[str, Any]]:
        return list(self.person.get(f"{self.path}/attempts").json()["attempts"])

    def delivery_when(self, holds: Callable[[dict[str, Any]], bool], position: int = 0) -> dict[str, Any]:
        """The newest delivery (or that of `position`), as soon as `holds` says so of it."""

        def find() -> dict[str, Any] | None:
            found = [one for one in self.deliveries() if position in {0, one["position"]}]
            return found[0] if found and holds(found[0]) else None

        return until(find)


def until(find: Callable[[], Any], timeout_s: float = 30) -> Any:
    """What `find` finds, as soon as it is anything."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        found = find()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def hook(person: Person, sink: Sink, **fields: object) -> Hook:
    made = person.post("/api/webhooks", {"url": sink.url} | fields)
    assert made.status_code == 201, made.text
    said = made.json()
    return Hook(person, sink, said["webhook"]["_id"], said["secret"])


def operator(house: House) -> Person:
    email = f"{fresh('operator')}@example.com"
    made = house.service.command(
        *("user", "create", "--email", email, "--name", "Op", "--password", "a long secret", "--operator")
    )
    assert made.returncode == 0, made.stderr
    return house.client.log_in(email, "a long secret")


def verified(received: Received, secret: str) -> dict[str, Any]:
    return dict(Verifier(secret).verify(received.body, received.headers))


def money(received: list[Received]) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in received if b"io.nostro.transaction." in one.body]


# ── what arrives ─────────────────────────────────────────────────────────────────────────────────────


def test_an_event_arrives_signed_with_the_balance_after_it(bank: House, sink: Sink) -> None:
    ann, account = bank.funded(100)
    bob = bank.client.register("Bob")
    target = bob.open_account()
    made = hook(ann, sink, eventTypes=["transaction.*"])
    sent = ann.send(account, target, "12.50").json()["transaction"]
    (received,) = sink.wait_for(1)
    event = verified(received, made.secret)
    assert received.headers["content-type"] == "application/json"
    assert (event["specversion"], event["type"]) == ("1.0", "io.nostro.transaction.completed")
    assert event["position"] == sent["position"]
    assert event["data"]["transaction"]["amount"] == 12.5
    assert [(one["account"], one["balanceAfter"]) for one in event["data"]["entries"]] == [(account, 87.5)]
    assert target not in json.dumps(event["data"]["entries"]), "Bob's balance is not Ann's to know"
    delivery = made.delivery_when(lambda one: one["status"] == "SENT")
    assert delivery["messageId"] == received.headers["webhook-id"]
    (attempt,) = made.attempts()
    assert (attempt["attempt"], attempt["delivered"], attempt["httpStatus"]) == (1, True, 204)


def test_a_signature_of_another_secret_or_an_old_one_is_refused(bank: House, sink: Sink) -> None:
    ann, account = bank.funded(100)
    made = hook(ann, sink, eventTypes=["transaction.*"])
    ann.send(account, ann.open_account(), 1)
    (received,) = sink.wait_for(1)
    verified(received, made.secret)
    with pytest.raises(WebhookVerificationError):
        verified(received, hook(ann, sink).secret)
    changed = Received(received.path, received.headers, received.body.replace(b"1", b"2", 1))
    with pytest.raises(WebhookVerificationError):
        verified(changed, made.secret)
    old = str(int(received.headers["webhook-timestamp"]) - 600)
    stale = Received(received.path, received.headers | {"webhook-timestamp": old}, received.body)
    with pytest.raises(WebhookVerificationError, match="too old"):
        verified(stale, made.secret)


def test_everybodys_events_are_for_operators(bank: House, sink: Sink) -> None:
    ann, account = bank.funded(100)
    target = bank.client.register("Bob").open_account()
    for person in (ann, bank.system):
        refused = person.post("/api/webhooks", {"url": sink.url, "scope": "ALL"})
        assert (refused.status_code, refused.json()["code"]) == (403, "not_operator")
    made = hook(operator(bank), sink, scope="ALL", eventTypes=["transaction.completed"])
    position = ann.send(account, target, 5).json()["transaction"]["position"]
    received = until(lambda: [one for one in sink.received if f'"position":{position},'.encode() in one.body])
    entries = verified(received[0], made.secret)["data"]["entries"]
    assert {one["account"]: one["balanceAfter"] for one in entries} == {account: 95, target: 5}


def test_only_what_was_asked_for_arrives(bank: House, sink: Sink) -> None:
    ann, account = bank.funded(100)
    hook(ann, sink, eventTypes=["account.*"])
    ann.send(account, ann.open_account(), 1)
    ann.post("/api/auth/forgot-password", {"email": ann.email})
    last = ann.open_account()
    received = until(lambda: [one for one in sink.received if last.encode() in one.body] and sink.received)
    assert {json.loads(one.body)["type"] for one in received} == {"io.nostro.account.opened"}


def test_a_wish_for_a_new_password_is_told_to_nobody(bank: House, sink: Sink) -> None:
    hook(operator(bank), sink, scope="ALL")
    ann = bank.client.register()
    ann.post("/api/auth/forgot-password", {"email": ann.email})
    last = ann.open_account()
    until(lambda: [one for one in sink.received if last.encode() in one.body])
    types = {json.loads(one.body)["type"] for one in sink.received}
    assert "io.nostro.account.opened" in types
    assert not [one for one in types if "password" in one]


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────


def test_after_a_rotation_both_secrets_sign_until_the_old_one_ends(bank: House, sink: Sink) -> None:
    ann, account = bank.funded(100)
    made = hook(ann, sink, eventTypes=["transaction.*"])
    rotated = ann.post(f"{made.path}/rotate", {"overlapHours": 2}).json()
    end = datetime.fromisoformat(rotated["webhook"]["previousSecretUntil"])
    assert timedelta(hours=1.9) < end - datetime.now(UTC) < timedelta(hours=2.1)
    ann.send(account, ann.open_account(), 1)
    (first,) = sink.wait_for(1)
    assert len(first.headers["webhook-signature"].split()) == 2
    assert verified(first, made.secret) == verified(first, rotated["secret"])
    bank.tables.script("UPDATE webhooks SET previous_until = now() WHERE previous_until IS NOT NULL")
    ann.send(account, ann.open_account(), 1)
    second = sink.wait_for(2)[1]
    verified(second, rotated["secret"])
    with pytest.raises(WebhookVerificationError):
        verified(second, made.secret)


def test_a_secret_is_told_once_and_stored_sealed(bank: House, sink: Sink) -> None:
    ann, account = bank.funded(100)
    made = hook(ann, sink, description="canary")
    second = ann.post(f"{made.path}/rotate").json()["secret"]
    sink.answer(500)
    ann.send(account, ann.open_account(), 1)
    made.delivery_when(lambda one: one["attempts"] == 1)
    told = [ann.get(path).text for path in ("/api/webhooks", made.path, f"{made.path}/deliveries")]
    told += [ann.get(f"{made.path}/attempts").text, ann.patch(made.path, {"description": None}).text]
    told.append(bank.service.log.read_text())
    for table in ("webhooks", "webhook_attempts", "deliveries", "events"):
        told.append(str([dict(row) for row in bank.tables.rows(f"SELECT * FROM {table}")]))
    for secret in (made.secret, second):
        assert not [text for text in told if secret in text or secret.removeprefix("whsec_") in text]


# ── receivers that fail ──────────────────────────────────────────────────────────────────────────────


def test_gone_disables_what_comes_then_is_set_aside_and_a_replay_brings_it(bank: House, sink: Sink) -> None:
    ann, account = bank.funded(100)
    target = ann.open_account()
    made = hook(ann, sink, eventTypes=["transaction.*"])
    sink.answer(410)
    first = ann.send(account, target, 1).json()["transaction"]["position"]
    until(lambda: made.look()["status"] == "DISABLED")
    assert "410" in made.look()["disabledReason"]
    second = ann.send(account, target, 2).json()["transaction"]["position"]
    aside = made.delivery_when(lambda one: one["status"] == "SET_ASIDE", second)
    assert (aside["attempts"], aside["lastError"]) == (1, "the webhook is disabled")
    assert len(sink.received) == 1, "nothing was asked of the receiver after it was gone"
    refused = ann.post(f"{made.path}/replay", {"from": first})
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_disabled")
    assert ann.post(f"{made.path}/deliveries/{first}/resend").json()["code"] == "webhook_disabled"
    sink.answer(204)
    assert ann.patch(made.path, {"status": "ENABLED"}).json()["webhook"]["disabledReason"] is None
    assert ann.post(f"{made.path}/replay", {"from": first, "to": second}).json()["queued"] == 2
    received = sink.wait_for(3)
    assert sorted(event["position"] for event in money(received[1:])) == [first, second]
    kinds = bank.tables.rows(
        "SELECT kind FROM events WHERE details->>'webhook' = $1 ORDER BY position", made.id
    )
    assert [row["kind"] for row in kinds] == ["WEBHOOK_CREATED", "WEBHOOK_DISABLED", "WEBHOOK_CHANGED"]


def test_a_busy_receiver_is_left_alone_for_as_long_as_it_says(bank: House, sink: Sink) -> None:
    ann, account = bank.funded(100)
    target = ann.open_account()
    made = hook(ann, sink, eventTypes=["transaction.*"])
    sink.answer(429, Retry_After="600")
    first = ann.send(account, target, 1).json()["transaction"]["position"]
    busy = made.delivery_when(lambda one: one["attempts"] == 1 and one["lastError"], first)
    assert busy["lastError"] == "HTTP 429 Too Many Requests"
    assert _wait_s(busy) > 590
    assert made.look()["pausedUntil"] is not None
    # Nothing else is sent to it either, while the same event arrives elsewhere.
    other = Sink()
    hook(ann, other, eventTypes=["transaction.*"])
    second = ann.send(account, target, 2).json()["transaction"]["position"]
    other.wait_for(1)
    assert made.delivery_when(bool, second)["attempts"] == 0
    assert len(sink.received) == 1
    other.close()


def _wait_s(delivery: dict[str, Any]) -> float:
    return (datetime.fromisoformat(delivery["nextAttemptAt"]) - datetime.now(UTC)).total_seconds()


def test_a_failing_receiver_is_tried_again_and_a_redirect_is_a_failure(bank: House, sink: Sink) -> None:
    elsewhere = Sink()
    ann, account = bank.funded(100)
    made = hook(ann, sink, eventTypes=["transaction.*"])
    sink.answer(302, Location=elsewhere.url)
    ann.send(account, ann.open_account(), 1)
    failed = made.delivery_when(lambda one: one["attempts"] == 1 and one["lastError"])
    assert failed["lastError"] == "HTTP 302: a redirect is not followed"
    assert failed["status"] == "PENDING"
    assert made.look()["failingSince"] is not None
    sink.answer(204)
    first, second = sink.wait_for(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    made.delivery_when(lambda one: one["status"] == "SENT")
    assert made.look()["failingSince"] is None
    assert [one["httpStatus"] for one in made.attempts()] == [204, 302]
    gap = datetime.fromisoformat(made.attempts()[0]["requestedAt"]) - datetime.fromisoformat(
        made.attempts()[1]["requestedAt"]
    )
    assert gap > timedelta(seconds=4), "5 s, less a fifth"
    assert elsewhere.connections == 0
    elsewhere.close()


def test_a_slow_receiver_does_not_hold_up_another(bank: House, sink: Sink) -> None:
    released, quick = threading.Event(), Sink()
    ann, account = bank.funded(100)
    target = ann.open_account()
    slow = hook(ann, sink, eventTypes=["transaction.*"])
    hook(ann, quick, eventTypes=["transaction.*"])
    sink.reply = lambda _: Reply(204, after=released)
    for _ in range(40):
        ann.send(account, target, 1)
    quick.wait_for(40)
    assert not [one for one in slow.deliveries() if one["status"] == "SENT"]
    released.set()
    sink.wait_for(40)
    quick.close()


def test_a_receiver_that_never_answers_is_given_up_in_the_end(bank: House, sink: Sink) -> None:
    """The last attempt of the schedule, four days after anything arrived."""
    ann, account = bank.funded(100)
    made = hook(ann, sink, eventTypes=["transaction.*"])
    bank.tables.rows(
        "UPDATE webhooks SET failing_since = now() - interval '4 days', "
        "paused_until = now() + interval '3 seconds' WHERE id = $1",
        bytes.fromhex(made.id),
    )
    sink.answer(500)
    ann.send(account, ann.open_account(), 1)
    # Given back untried, as no attempt; only then is nobody about to write down what became of it.
    made.delivery_when(lambda one: one["attempts"] == 0 and _wait_s(one) > 0)
    bank.tables.rows("UPDATE deliveries SET attempts = 9 WHERE target = $1", made.id)
    aside = made.delivery_when(lambda one: one["status"] == "SET_ASIDE")
    assert aside["lastError"] == "HTTP 500 Internal Server Error; it was the last of 10 attempts"
    assert made.look()["disabledReason"] == "Nothing arrived for 3 days"


# ── gaps, sending again ──────────────────────────────────────────────────────────────────────────────


def test_a_receiver_sees_a_gap(bank: House, sink: Sink) -> None:
    ann, account = bank.funded(100)
    target = ann.open_account()
    made = hook(ann, sink, eventTypes=["transaction.*"])
    start = made.look()["lastPosition"]
    for _ in range(4):
        ann.send(account, target, 1)
        ann.open_account()  # an event that this webhook did not ask for is no gap
    events = sorted(money(sink.wait_for(4)), key=lambda event: event["position"])
    positions = [event["position"] for event in events]
    assert [event["previousposition"] for event in events] == [start, *positions[:-1]]
    assert made.look()["lastPosition"] == positions[-1]
    missing = [events[0], *events[2:]]
    assert _first_gap(missing, start) == (positions[0], positions[2])
    assert _first_gap(events, start) is None


def _first_gap(events: list[dict[str, Any]], seen: int) -> tuple[int, int] | None:
    """As the documentation tells a receiver to do it."""
    for event in events:
        if event["previousposition"] > seen:
            return seen, event["position"]
        seen = event["position"]
    return None


def test_one_event_is_sent_again_under_its_id(bank: House, sink: Sink) -> None:
    ann, account = bank.funded(100)
    made = hook(ann, sink, eventTypes=["transaction.*"])
    position = ann.send(account, ann.open_account(), 1).json()["transaction"]["position"]
    made.delivery_when(lambda one: one["status"] == "SENT", position)
    again = ann.post(f"{made.path}/deliveries/{position}/resend")
    assert again.json()["delivery"]["status"] == "PENDING"
    first, second = sink.wait_for(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    until(lambda: [one["attempt"] for one in made.attempts()] == [1, 1])
    nothing = ann.post(f"{made.path}/deliveries/{position - 1}/resend")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "not_found")


def test_a_range_is_replayed_also_from_before_the_webhook_was_made(bank: House, sink: Sink) -> None:
    ann, account = bank.funded(100)
    target = ann.open_account()
    sent = [ann.send(account, target, 1).json()["transaction"]["position"] for _ in range(3)]
    made = hook(ann, sink, eventTypes=["transaction.completed"])
    assert ann.post(f"{made.path}/replay", {"from": sent[1], "to": sent[2]}).json()["queued"] == 2
    events = sorted(money(sink.wait_for(2)), key=lambda event: event["position"])
    assert [event["position"] for event in events] == sent[1:]
    assert [event["previousposition"] for event in events] == [sent[1] - 1, sent[1]]
    # The next event still follows what was queued last on its own account.
    ann.send(account, target, 1)
    last = money(sink.wait_for(3))[-1]
    assert last["previousposition"] <= last["position"] - 1


@pytest.mark.parametrize(
    "body", [{}, {"from": 0}, {"from": "1"}, {"from": 1.5}, {"from": 5, "to": 4}, {"from": 1, "to": 10_001}]
)
def test_a_range_that_is_none_is_refused(bank: House, body: dict[str, Any]) -> None:
    ann = bank.client.register()
    made = ann.post("/api/webhooks", {"url": "https://receiver.example/"}).json()["webhook"]["_id"]
    assert ann.post(f"/api/webhooks/{made}/replay", body).status_code == 400


# ── whose it is ──────────────────────────────────────────────────────────────────────────────────────


def test_another_users_webhook_does_not_exist(bank: House, sink: Sink) -> None:
    ann = bank.client.register()
    made = hook(ann, sink)
    others = [bank.client.register("Bob"), operator(bank), bank.system]
    calls: list[tuple[str, str, object]] = [
        ("GET", "", None),
        ("PATCH", "", {"url": "https://receiver.example/"}),
        ("DELETE", "", None),
        ("POST", "/rotate", {}),
        ("GET", "/deliveries", None),
        ("GET", "/attempts", None),
        ("POST", "/deliveries/1/resend", None),
        ("POST", "/replay", {"from": 1, "to": 2}),
    ]
    for person in others:
        assert person.get("/api/webhooks").json()["webhooks"] == []
        for method, rest, body in calls:
            answers = []
            for webhook in (made.id, "0" * 24):
                path = f"/api/webhooks/{webhook}{rest}"
                answer = bank.client.request(method, path, body, token=person.token)
                answers.append((answer.status_code, answer.text.replace(webhook, "")))
            assert answers[0] == answers[1], (method, rest)
            assert answers[0][0] == 404
    assert [one["_id"] for one in ann.get("/api/webhooks").json()["webhooks"]] == [made.id]
    assert made.look()["previousSecretUntil"] is None


def test_a_webhook_is_changed_and_deleted(bank: House, sink: Sink) -> None:
    ann = bank.client.register()
    made = hook(ann, sink, description="first", eventTypes=["hold.*"])
    unchanged = ann.patch(made.path, {}).json()["webhook"]
    assert (unchanged["description"], unchanged["eventTypes"]) == ("first", ["hold.*"])
    wish = {"url": "HTTPS://Receiver.EXAMPLE:8443/a", "eventTypes": ["account.*"], "description": None}
    after = ann.patch(made.path, wish | {"status": "DISABLED"}).json()["webhook"]
    assert (after["url"], after["eventTypes"]) == ("https://receiver.example:8443/a", ["account.*"])
    assert (after["description"], after["disabledReason"]) == (None, "Disabled by its owner")
    assert ann.delete(made.path).status_code == 200
    assert ann.delete(made.path).json()["code"] == "webhook_not_found"
    other = hook(ann, sink, eventTypes=["account.*"])
    ann.open_account()
    other.delivery_when(lambda one: one["status"] == "SENT")
    assert bank.tables.value("SELECT count(*) FROM deliveries WHERE target = $1", made.id) == 0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": 5}, "url"),
        ({"eventTypes": []}, "eventTypes"),
        ({"eventTypes": "transaction.completed"}, "eventTypes"),
        ({"eventTypes": [1]}, "eventTypes"),
        ({"eventTypes": ["Transaction"]}, "eventTypes"),
        ({"description": "x" * 501}, "description"),
        ({"scope": "all of them"}, "scope"),
    ],
)
def test_a_wrong_wish_is_refused_and_leaves_nothing(bank: House, fields: dict[str, Any], field: str) -> None:
    ann = bank.client.register()
    refused = ann.post("/api/webhooks", {"url": "https://receiver.example/"} | fields)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_field")
    assert refused.json()["field"] == field
    assert ann.get("/api/webhooks").json()["webhooks"] == []


def test_a_user_has_so_many_webhooks_at_most(bank: House) -> None:
    ann = bank.client.register()
    answers = [ann.post("/api/webhooks", {"url": "https://receiver.example/"}) for _ in range(21)]
    assert [one.status_code for one in answers] == [201] * 20 + [409]
    assert answers[-1].json()["code"] == "too_many_webhooks"


# ── a process that ends in the middle ────────────────────────────────────────────────────────────────


def test_a_request_whose_process_was_killed_is_in_the_log_and_is_made_again(
    open_house: Callable[..., House], sink: Sink
) -> None:
    house = open_house(NOSTRO_WEBHOOK_ALLOW=ALLOW)
    ann, account = house.funded(100)
    made = hook(ann, sink, eventTypes=["transaction.*"])
    never = threading.Event()
    sink.reply = lambda _: Reply(204, after=never)
    ann.send(account, ann.open_account(), 1)
    sink.wait_for(1)
    house.service.stop(signal.SIGKILL)
    never.set()
    sink.answer(204)
    # Its claim ends by itself after a while; this test does not wait for that.
    house.tables.script("UPDATE deliveries SET claimed_until = now()")
    again = open_house(house.tables.dsn, NOSTRO_WEBHOOK_ALLOW=ALLOW)
    made.person = Client(again.service.url).log_in(ann.email, ann.password)
    first, second = sink.wait_for(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    made.delivery_when(lambda one: one["status"] == "SENT")
    reasons = [one["reason"] for one in made.attempts()]
    assert reasons == [None, "No answer was recorded: the process that asked ended"]
    made.person.client.close()
