"""Idempotency keys, line by line of the rules: one key, one user, one operation, one transaction."""

import json
from typing import Any

import pytest

from tests.client import Person, fresh
from tests.contract import raw
from tests.contract.conftest import House
from tests.contract.scenes import NOBODY, Stage


@pytest.fixture(scope="module")
def stage(house: House) -> Stage:
    return Stage(house)


def body_of(stage: Stage, **changes: Any) -> dict[str, Any]:
    return {"fromAccount": stage.ann_account, "toAccount": stage.bob_account, "amount": 1} | changes


def with_header(person: Person, body: dict[str, Any], *keys: str) -> raw.RawAnswer:
    """The body as given, with one Idempotency-Key header per key."""
    lines = [f"Idempotency-Key: {key}" for key in keys]
    bearer = f"Bearer {person.token}"
    sent = raw.request("POST", "/api/transactions", json.dumps(body).encode(), *lines, Authorization=bearer)
    return raw.exchange(person.client.url, sent)[0]


# ── what a key is ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "key",
    ["a", "k" * 255, " ", "a b", "~!@#$%^&*()_+{}|:<>?`-=[];',./", "'; DROP TABLE entries; --", "{}", '"', "0"],
    ids=lambda key: repr(key)[:20],
)
def test_1_to_255_printable_ascii_characters_are_a_key(house: House, key: str) -> None:
    person, account = house.funded(1)
    answer = person.send(account, person.open_account(), 1, key=key)
    assert (answer.status_code, answer.json()["transaction"]["idempotencyKey"]) == (201, key)


def test_keys_that_the_database_would_read_alike_are_told_apart(house: House) -> None:
    person, account = house.funded(10)
    other = person.open_account()
    keys = ["A", "\\x41", "\\101", "\\", "\\\\", "\\\\x41"]
    made = {key: person.send(account, other, 1, key=key) for key in keys}
    assert {answer.status_code for answer in made.values()} == {201}
    again = {key: person.send(account, other, 1, key=key) for key in keys}
    for key in keys:
        assert again[key].json()["transaction"]["_id"] == made[key].json()["transaction"]["_id"]
    assert person.balance(account) == 4


@pytest.mark.parametrize(
    "key",
    ["k" * 256, "é", "😀", "a\nb", "a\tb", "a\x00b", "\x7f", "１", 1, 1.5, True, [], {}, ["k"], {"$ne": ""}],
    ids=lambda key: repr(key)[:20],
)
def test_anything_else_is_not(stage: Stage, key: object) -> None:
    before = stage.house.tables.position()
    answer = stage.send(idempotencyKey=key)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_key"), answer.text
    assert stage.house.tables.position() == before


@pytest.mark.parametrize("quoted", ["{}", '"{}"'])
def test_the_header_serves_as_well_quoted_or_bare(stage: Stage, quoted: str) -> None:
    key = fresh()
    first = with_header(stage.ann, body_of(stage), quoted.format(key))
    assert (first.status, first.json()["transaction"]["idempotencyKey"]) == (201, key)
    assert stage.send(idempotencyKey=key).headers["idempotency-replayed"] == "true"
    assert with_header(stage.ann, body_of(stage, idempotencyKey=key), quoted.format(key)).status == 200


@pytest.mark.parametrize(
    ("keys", "in_body"),
    [(["one"], "two"), (["one", "two"], None), (["one", "two"], "one"), (["one"], 1)],
    ids=["header and body", "two headers", "two headers and body", "a text and a number"],
)
def test_keys_that_differ_are_refused(stage: Stage, keys: list[str], in_body: object) -> None:
    before = stage.house.tables.position()
    body = body_of(stage) if in_body is None else body_of(stage, idempotencyKey=in_body)
    answer = with_header(stage.ann, body, *keys)
    assert (answer.status, answer.json()["code"]) == (400, "invalid_key")
    assert stage.house.tables.position() == before


@pytest.mark.parametrize("header", ["", '""'])
def test_an_empty_header_is_no_key(stage: Stage, header: str) -> None:
    assert with_header(stage.ann, body_of(stage), header).json()["code"] == "missing_field"


# ── replay ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_replay_answers_the_same_transaction_and_moves_nothing(stage: Stage) -> None:
    key = fresh()
    first = stage.send(idempotencyKey=key)
    balance, position = stage.ann.balance(stage.ann_account), stage.house.tables.position()
    again = stage.send(idempotencyKey=key)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert "idempotency-replayed" not in first.headers
    assert again.json()["transaction"] == first.json()["transaction"]
    assert (stage.ann.balance(stage.ann_account), stage.house.tables.position()) == (balance, position)


@pytest.mark.parametrize("amount", ["10", '"10"', "10.0", "10.00", '"10.00"', "10.000000"])
def test_spelling_order_and_white_space_do_not_make_another_request(house: House, amount: str) -> None:
    person, account = house.funded(10)
    other = person.open_account()
    assert person.send(account, other, 10, key="one").status_code == 201
    text = (
        f' {{\n"unknown": [1], "idempotencyKey" :"\\u006fne",\t"amount":{amount} ,'
        f'"toAccount":"{other.upper()}","fromAccount":"{account}" }}\r\n'
    )
    again = person.post(
        "/api/transactions", content=text.encode(), headers={"Content-Type": "application/json"}
    )
    assert again.status_code == 200, again.text


def test_initial_funds_are_replayed_like_any_other(stage: Stage) -> None:
    key = fresh()
    assert stage.fund(idempotencyKey=key).status_code == 201
    again = stage.fund(idempotencyKey=key, amount="1.00")
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"amount": 2}, ["amount"]),
        ({"amount": "1.01"}, ["amount"]),
        ({"toAccount": "other"}, ["toAccount"]),
        ({"fromAccount": "other"}, ["fromAccount"]),
        ({"fromAccount": "other", "amount": 3}, ["fromAccount", "amount"]),
        ({"toAccount": "nobody"}, ["toAccount"]),
    ],
)
def test_another_request_under_the_key_is_a_conflict_that_names_the_fields(
    house: House, changes: dict[str, Any], fields: list[str]
) -> None:
    person, account = house.funded(10)
    other, third = person.open_account(), person.open_account()
    body = {"fromAccount": account, "toAccount": other, "amount": 1, "idempotencyKey": "one"}
    assert person.post("/api/transactions", body).status_code == 201
    before = house.tables.position()
    named = {"other": third, "nobody": NOBODY}
    changed = body | {name: named.get(value, value) for name, value in changes.items()}
    answer = person.post("/api/transactions", changed)
    assert (answer.status_code, answer.json()["code"]) == (409, "key_conflict")
    assert answer.json()["conflictingFields"] == fields
    assert house.tables.position() == before


# ── whose key, and what for ──────────────────────────────────────────────────────────────────────────


def test_another_users_same_key_is_unrelated_and_gives_no_hint(house: House) -> None:
    key = fresh()
    (ann, ann_account), (bob, bob_account) = house.funded(10), house.funded(10)
    assert ann.send(ann_account, bob_account, 1, key=key).status_code == 201
    assert bob.send(bob_account, ann_account, 2, key=key).status_code == 201
    assert bob.get(f"/api/transactions/by-key/{key}").json()["transaction"]["amount"] == 2


def test_one_key_serves_one_transfer_and_one_initial_funding(house: House) -> None:
    key = fresh()
    assert house.system.post("/api/accounts", {"currency": "CHF"}).status_code in (201, 409)
    account = house.client.register().open_account()
    own = house.system.get("/api/accounts").json()["accounts"][0]["_id"]
    assert house.system.fund(account, 1, key=key).status_code == 201
    assert house.system.send(own, account, 1, key=key).status_code == 201
    said = house.system.get(f"/api/transactions/by-key/{key}").json()
    assert [one["kind"] for one in said["transactions"]] == ["INITIAL_FUNDS", "TRANSFER"]


# ── refused and accepted ─────────────────────────────────────────────────────────────────────────────


def test_a_refused_request_leaves_nothing_behind_and_may_be_tried_again(house: House) -> None:
    key = fresh()
    person, account = house.funded(1)
    other = person.open_account()
    before = house.tables.position()
    for _ in range(2):
        assert person.send(account, other, 5, key=key).json()["code"] == "insufficient_funds"
    assert house.tables.position() == before
    assert person.get(f"/api/transactions/by-key/{key}").json()["outcome"] == "unknown"
    house.system.fund(account, 4)
    assert person.send(account, other, 5, key=key).status_code == 201


def test_the_key_is_taken_for_ever_also_when_the_account_is_closed_later(house: House) -> None:
    key = fresh()
    person, account = house.funded(1)
    other = person.open_account()
    first = person.send(account, other, 1, key=key).json()["transaction"]
    closed = person.post(f"/api/accounts/{account}/status", {"status": "CLOSED", "reason": "moving"})
    assert closed.status_code == 200
    again = house.client.log_in(person.email, person.password).send(account, other, 1, key=key)
    assert (again.status_code, again.json()["transaction"]) == (200, first)


def test_authorisation_is_checked_again_before_a_replay(house: House) -> None:
    key = fresh()
    person, account = house.funded(1)
    other = person.open_account()
    assert person.send(account, other, 1, key=key).status_code == 201
    person.post("/api/auth/logout")
    assert person.send(account, other, 1, key=key).status_code == 401


# ── by key ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("plain", "plain"),
        ("History", "History"),
        ("STATUS", "STATUS"),
        ("rent/2024/05", "rent%2F2024%2F05"),
        ("100% sure?", "100%25%20sure%3F"),
        ("%2F", "%252F"),
        ("/", "%2F"),
    ],
)
def test_by_key_tells_what_became_of_a_key(house: House, key: str, asked: str) -> None:
    person, account = house.funded(1)
    path = f"/api/transactions/by-key/{asked}"
    unknown = person.get(path)
    assert (unknown.status_code, unknown.json()["outcome"]) == (200, "unknown")
    made = person.send(account, person.open_account(), 1, key=key).json()["transaction"]
    known = person.get(path).json()
    assert (known["outcome"], known["transaction"]) == ("completed", made)


@pytest.mark.parametrize("asked", ["%00", "a%00b", "%ff", "%C3%A9", "k" * 256, "%0a"])
def test_by_key_refuses_what_cannot_be_a_key(stage: Stage, asked: str) -> None:
    answer = stage.ann.get(f"/api/transactions/by-key/{asked}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_key")


def test_a_digest_of_the_request_is_stored_with_the_key(house: House) -> None:
    key = fresh()
    person, account = house.funded(1)
    person.send(account, person.open_account(), 1, key=key)
    (row,) = house.tables.rows("SELECT * FROM transactions WHERE idempotency_key = $1", key)
    assert (len(row["request_digest"]), row["requested_by"].hex()) == (16, person.id)
