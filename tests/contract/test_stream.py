"""GET /api/stream: a snapshot, then what happens to the caller's accounts, in order, resumable, and no more."""

import http.client
import signal
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House
from tests.contract.tokens import claims, signed
from tests.listener import Listener, Told

BEAT_S = "0.2"


@pytest.fixture(scope="module")
def lively(open_house: Callable[..., House]) -> House:
    """A house whose streams have a heartbeat that a test can wait for."""
    return open_house(NOSTRO_STREAM_HEARTBEAT_S=BEAT_S)


@pytest.fixture
def listen(lively: House) -> Iterator[Callable[..., Listener]]:
    opened: list[Listener] = []

    def make(person: Person, query: str = "", **headers: str) -> Listener:
        opened.append(Listener(lively.service.url, person.token, query, **headers))
        return opened[-1]

    yield make
    for listener in opened:
        listener.close()


Listen = Callable[..., Listener]


def _staff(house: House, role: str) -> Person:
    email = f"{fresh(role)}@example.com"
    made = house.service.command(
        *("user", "create", "--email", email, "--name", role, "--password", "a long secret", f"--{role}")
    )
    assert made.returncode == 0, made.stderr
    return house.client.log_in(email, "a long secret")


# ── what is told ─────────────────────────────────────────────────────────────────────────────────────


def test_a_stream_begins_with_the_accounts_as_they_stand_and_goes_on_with_the_next_event(
    lively: House, listen: Listen
) -> None:
    ann, account = lively.funded(100)
    stream = listen(ann)
    snapshot = stream.next()
    assert snapshot.name == "snapshot"
    assert snapshot.id == snapshot.data["position"] == lively.tables.position()
    assert snapshot.data["accounts"] == ann.get("/api/accounts").json()["accounts"]
    assert stream.next() == Told("heartbeat", snapshot.id, {"position": snapshot.id})

    bob_account = lively.client.register("Bob").open_account()
    sent = ann.send(account, bob_account, 30).json()["transaction"]
    told = stream.until("message")
    assert told.id == sent["position"]
    assert told.data["position"] == sent["position"]
    assert told.data["type"] == "io.nostro.transaction.completed"
    assert told.data["id"] == f"evt_{sent['position']}"
    assert told.data["data"]["transaction"]["id"] == sent["_id"]
    entries = {entry["account"]: entry["balanceAfter"] for entry in told.data["data"]["entries"]}
    assert entries == {account: 70}, "the balance after, of the listener's own account and no other"


def test_both_sides_are_told_and_nobody_else_is(lively: House, listen: Listen) -> None:
    ann, source = lively.funded(100)
    bob, carol = lively.client.register("Bob"), lively.client.register("Carol")
    target, other = bob.open_account(), carol.open_account()
    streams = [listen(person) for person in (ann, bob, carol)]
    for stream in streams:
        stream.until("heartbeat")
    first = ann.send(source, target, 1).json()["transaction"]["_id"]
    second = ann.send(source, other, 2).json()["transaction"]["_id"]
    assert [one["data"]["transaction"]["id"] for one in streams[0].happened(2)] == [first, second]
    assert [one["data"]["transaction"]["id"] for one in streams[1].happened(1)] == [first]
    assert [one["data"]["transaction"]["id"] for one in streams[2].happened(1)] == [second]


def test_an_account_opened_while_its_owner_listens_is_listened_to(lively: House, listen: Listen) -> None:
    ann = lively.client.register()
    stream = listen(ann)
    assert stream.next().data["accounts"] == []
    account = ann.open_account()
    lively.system.fund(account, 5)
    opened, funded = stream.happened(2)
    assert (opened["type"], opened["subject"]) == ("io.nostro.account.opened", account)
    assert funded["data"]["entries"][0]["balanceAfter"] == 5


def test_what_only_mail_may_know_is_told_to_nobody(lively: House, listen: Listen) -> None:
    ann, account = lively.funded(1)
    stream, auditor = listen(ann), listen(_staff(lively, "auditor"), "?scope=all")
    for one in (stream, auditor):
        one.until("heartbeat")
    lively.client.request("POST", "/api/auth/forgot-password", {"email": ann.email})
    lively.system.fund(account, 1)
    for one in (stream, auditor):
        assert one.happened(1)[0]["type"] == "io.nostro.transaction.completed"


def test_a_heartbeat_comes_again_and_again_with_the_position_that_nothing_was_missed_until(
    lively: House, listen: Listen
) -> None:
    ann, bob = lively.client.register("Ann"), lively.client.register("Bob")
    stream = listen(ann)
    stream.until("heartbeat")
    bob.open_account()  # nothing of Ann's
    position = lively.tables.position()
    while (beat := stream.next()).id != position:
        assert beat.name == "heartbeat"
        assert beat.id is not None
        assert beat.id < position
    assert beat == Told("heartbeat", position, {"position": position})


def test_operators_and_auditors_may_listen_to_everybody_and_customers_may_not(
    lively: House, listen: Listen
) -> None:
    ann, account = lively.funded(1)
    for role in ("operator", "auditor"):
        stream = listen(_staff(lively, role), "?scope=all")
        snapshot = stream.next()
        assert (snapshot.name, snapshot.data) == ("snapshot", {"position": snapshot.id})
        lively.system.fund(account, 1)
        (funded,) = stream.happened(1)
        assert len(funded["data"]["entries"]) == 2, "both sides"
    refused = listen(ann, "?scope=all")
    assert (refused.status, refused.problem()["code"]) == (403, "not_operator")
    refused = listen(ann, "?scope=some")
    assert (refused.status, refused.problem()["code"]) == (400, "invalid_field")
    assert listen(ann, "?scope=own").status == 200


# ── resuming ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_stream_is_resumed_behind_the_last_event_without_a_gap_and_without_a_snapshot(
    lively: House, listen: Listen
) -> None:
    ann, source = lively.funded(100)
    target = lively.client.register("Bob").open_account()
    stream = listen(ann)
    last = stream.until("heartbeat").id
    stream.close()
    missed = [ann.send(source, target, 1).json()["transaction"]["position"] for _ in range(3)]
    lively.client.register("Nobody").open_account()

    now = lively.tables.position()
    resumed = [listen(ann, Last_Event_ID=str(last)), listen(ann, f"?lastEventId={last}")]
    for stream in resumed:
        told = [stream.next() for _ in missed]
        assert [(one.name, one.id) for one in told] == [("message", position) for position in missed]
        assert stream.next() == Told("heartbeat", now, {"position": now})
    live = ann.send(source, target, 1).json()["transaction"]["position"]
    for stream in resumed:
        assert stream.until("message").id == live


def test_the_header_of_a_browser_that_connects_again_counts_more_than_its_address(
    lively: House, listen: Listen
) -> None:
    ann, _ = lively.funded(1)
    position = lively.tables.position()
    assert listen(ann, "?lastEventId=0").next().data["type"] == "io.nostro.user.registered"
    stream = listen(ann, "?lastEventId=0", Last_Event_ID=str(position))
    assert stream.next() == Told("heartbeat", position, {"position": position})
    assert listen(ann, "?lastEventId=", Last_Event_ID="").next().name == "snapshot"


@pytest.mark.parametrize(
    "text", ["-1", "x", "1.5", "1e3", "%20", "99999999999999999999", "9223372036854775808", "%D9%A1"]
)
def test_a_last_event_id_that_is_none_is_refused(lively: House, listen: Listen, text: str) -> None:
    refused = listen(lively.system, f"?lastEventId={text}")
    assert (refused.status, refused.problem()["code"]) == (400, "invalid_field")


def test_a_position_that_the_journal_has_not_reached_is_refused(lively: House, listen: Listen) -> None:
    for ahead in (lively.tables.position() + 1, 2**63 - 1):
        refused = listen(lively.system, Last_Event_ID=str(ahead))
        assert (refused.status, refused.problem()["code"]) == (400, "unknown_position")


# ── who may listen, and for how long ─────────────────────────────────────────────────────────────────


def test_a_stream_needs_a_token_as_bearer_or_as_cookie(lively: House) -> None:
    ann, _ = lively.funded(1)
    with Listener(lively.service.url) as refused:
        assert (refused.status, refused.problem()["code"]) == (401, "token_missing")
    with Listener(lively.service.url, "no token") as refused:
        assert (refused.status, refused.problem()["code"]) == (401, "token_invalid")
    with Listener(lively.service.url, Cookie=f"token={ann.token}") as stream:
        assert len(stream.next().data["accounts"]) == 1


def test_a_logout_ends_the_streams_of_its_token_and_no_others(lively: House, listen: Listen) -> None:
    ann, account = lively.funded(1)
    again = lively.client.log_in(ann.email, ann.password)
    stream, other = listen(ann), listen(again)
    ann.post("/api/auth/logout")
    assert list(stream)[-1] == Told("end", None, {"reason": "token_void"})
    lively.system.fund(account, 1)
    assert other.happened(1)


def test_an_expired_token_ends_its_streams(lively: House) -> None:
    ann, _ = lively.funded(1)
    with Listener(lively.service.url, signed(claims(ann.id, lifetime_s=2))) as stream:
        assert stream.next().name == "snapshot"
        assert list(stream)[-1] == Told("end", None, {"reason": "token_void"})


def test_a_stream_that_was_left_makes_room_for_another(open_house: Callable[..., House]) -> None:
    house = open_house(NOSTRO_STREAMS_PER_USER="1", NOSTRO_STREAM_HEARTBEAT_S=BEAT_S)
    ann = house.client.register()
    for _ in range(5):
        while True:  # the service learns of the one that left by its connection
            with Listener(house.service.url, ann.token) as stream:
                if stream.status == 200:
                    assert stream.next().name == "snapshot"
                    break
                assert stream.problem()["code"] == "too_many_streams"


# ── on the wire ──────────────────────────────────────────────────────────────────────────────────────


def test_the_answer_is_an_event_stream_that_nobody_stores_or_holds_back(lively: House, listen: Listen) -> None:
    headers = listen(lively.client.register(), Origin="http://localhost:5173").headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["access-control-allow-origin"] == "http://localhost:5173"
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["content-length"] is None


def test_head_answers_at_once_and_opens_nothing(lively: House) -> None:
    parts = urlsplit(lively.service.url)
    assert parts.hostname
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    for _ in range(30):  # more than one user may have open
        connection.request("HEAD", "/api/stream", headers={"Authorization": f"Bearer {lively.system.token}"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    connection.close()


def test_a_service_that_stops_says_so_and_does_not_wait_for_its_listeners(
    open_house: Callable[..., House],
) -> None:
    house = open_house()
    ann, bob = house.client.register("Ann"), house.client.register("Bob")
    with (
        Listener(house.service.url, ann.token) as stream,
        Listener(house.service.url, bob.token, small=True) as silent,
    ):
        stream.until("heartbeat")
        house.service.process.send_signal(signal.SIGTERM)
        assert list(stream) == [Told("end", None, {"reason": "shutting_down"})]
        assert house.service.stop() == 0
        assert silent.status == 200
    assert "shutdown exceeded" not in house.service.log.read_text()
