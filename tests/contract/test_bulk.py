"""Many transfers in one request: each with its own key and result, or all or nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.client import fresh
from tests.contract.conftest import DIALECTS, House

BULK = "/api/transactions/bulk"


def _item(source: str, target: str, amount: object, key: str | None = None) -> dict[str, Any]:
    return {"fromAccount": source, "toAccount": target, "amount": amount, "idempotencyKey": key or fresh()}


def test_each_transfer_has_its_own_result_in_the_order_sent(house: House) -> None:
    ann, first = house.funded(100)
    second = ann.open_account()
    stranger = house.funded(5)[1]
    sent = [
        _item(first, second, 10),
        _item(first, second, "1000"),
        _item(stranger, second, 1),
        {"fromAccount": first},
        _item(first, second, "0.001"),
        _item(first, first, 1),
        _item(first, second, "2.50"),
        7,
    ]
    answer = ann.post(BULK, sent).json()
    assert [result["index"] for result in answer["results"]] == list(range(8))
    assert [(result["status"], result["code"]) for result in answer["results"]] == [
        (201, "posted"),
        (400, "insufficient_funds"),
        (403, "not_account_owner"),
        (400, "missing_field"),
        (400, "invalid_amount"),
        (400, "same_account"),
        (201, "posted"),
        (400, "malformed_json"),
    ]
    assert answer["results"][1]["available"] == 90
    assert answer["results"][6]["transaction"]["amount"] == 2.5
    assert (answer["succeeded"], answer["replayed"], answer["refused"]) == (2, 0, 6)
    assert (ann.balance(first), ann.balance(second)) == (87.5, 12.5)


def test_a_repeated_bulk_replays_what_was_done_and_does_the_rest(house: House) -> None:
    ann, first = house.funded(10)
    second = ann.open_account()
    sent = [_item(first, second, 6), _item(first, second, 6)]
    once = ann.post(BULK, sent).json()
    assert [result["code"] for result in once["results"]] == ["posted", "insufficient_funds"]
    house.system.fund(first, 10)
    again = ann.post(BULK, sent).json()
    assert [result["code"] for result in again["results"]] == ["replayed", "posted"]
    assert again["results"][0]["transaction"] == once["results"][0]["transaction"]
    single = ann.send(first, second, 6, sent[0]["idempotencyKey"])
    assert single.status_code == 200
    assert ann.balance(second) == 12


def test_one_key_twice_in_a_bulk_moves_money_once(house: House) -> None:
    ann, first = house.funded(10)
    second = ann.open_account()
    key = fresh()
    sent = [_item(first, second, 4, key), _item(first, second, 4, key), _item(first, second, 5, key)]
    results = ann.post(BULK, sent).json()["results"]
    assert [result["code"] for result in results] == ["posted", "replayed", "key_conflict"]
    assert ann.balance(second) == 4


@pytest.mark.parametrize("form", ["object", "query", "ndjson"])
def test_an_atomic_bulk_does_all_or_nothing_and_names_the_culprit(house: House, form: str) -> None:
    ann, first = house.funded(100)
    second = ann.open_account()

    def post(sent: list[dict[str, Any]]) -> Any:
        if form == "object":
            return ann.post(BULK, {"atomic": True, "transfers": sent})
        if form == "query":
            return ann.post(f"{BULK}?atomic=true", sent)
        lines = "\n".join(json.dumps(item) for item in sent).encode()
        return ann.post(f"{BULK}?atomic=true", content=lines, headers={"Content-Type": "application/x-ndjson"})

    before = house.tables.position()
    sent = [_item(first, second, 40), _item(first, second, 40), _item(first, second, 40)]
    refused = post(sent)
    assert refused.status_code == 400
    assert (refused.json()["code"], refused.json()["index"]) == ("insufficient_funds", 2)
    assert house.tables.position() == before

    malformed = post([*sent[:2], _item(first, second, "-1")])
    assert (malformed.json()["code"], malformed.json()["index"]) == ("invalid_amount", 2)
    assert house.tables.position() == before

    done = post(sent[:2])
    assert done.status_code == 200
    assert done.json()["succeeded"] == 2
    again = post(sent[:2])
    assert (again.json()["succeeded"], again.json()["replayed"]) == (2, 2)
    assert ann.balance(second) == 80


def test_ten_thousand_transfers_are_done_once_each(house: House) -> None:
    ann, first = house.funded(1000)
    second = ann.open_account()
    lines = b"\n".join(json.dumps(_item(first, second, "0.01")).encode() for _ in range(10_000))
    answer = ann.post(BULK, content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 200
    assert answer.json()["succeeded"] == 10_000
    positions = [result["transaction"]["position"] for result in answer.json()["results"]]
    assert len(set(positions)) == 10_000
    assert positions == sorted(positions)
    assert ann.balance(second) == 100


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"[]", 400, "missing_field"),
        (b"{}", 400, "missing_field"),
        (b'{"transfers":7}', 400, "malformed_json"),
        (b'{"transfers":[],"transfers":[]}', 400, "duplicate_field"),
        (b'{"atomic":"yes","transfers":[1]}', 400, "invalid_field"),
        (b"[1,", 400, "malformed_json"),
        (b'"transfers"', 400, "malformed_json"),
        (b"[" + b"1," * 10_000 + b"1]", 400, "invalid_field"),
        (b'{"atomic":true,"transfers":[' + b"1," * 1_000 + b"1]}", 400, "invalid_field"),
        (b"[" + b" " * (4 * 1024 * 1024) + b"1]", 413, "body_too_large"),
        (b"[" * 100_000, 400, "malformed_json"),
        (b'["\xff"]', 400, "malformed_json"),
    ],
    ids=range(13),
)
def test_a_bulk_that_is_none_is_refused_as_a_whole(house: House, body: bytes, status: int, code: str) -> None:
    ann = house.client.register()
    before = house.tables.position()
    answer = ann.post(BULK, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert house.tables.position() == before


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_culprit_is_answered_as_the_description_says(house_of: Callable[[str], House], dialect: str) -> None:
    house = house_of(dialect)
    ann, account = house.funded(10)
    described = house.client.request("GET", "/openapi.json").json()["paths"][BULK]["post"]["responses"]
    answer = ann.post(f"{BULK}?atomic=true", [_item(account, "0" * 24, 1)])
    assert answer.json()["code"] == "account_not_found"
    assert "account_not_found" in str(described[str(answer.status_code)])


def test_a_wish_that_is_malformed_is_refused_beside_one_that_is_not(house: House) -> None:
    answer = house.client.register().post(f"{BULK}?atomic=true", {"atomic": {}, "transfers": [1]})
    assert (answer.status_code, answer.json()["field"]) == (400, "atomic")


def test_a_bulk_is_for_those_who_are_logged_in(house: House) -> None:
    assert house.client.request("POST", BULK, [1]).json()["code"] == "token_missing"
    ann = house.client.register()
    ann.post("/api/auth/logout")
    assert ann.post(BULK, [1]).status_code == 401
