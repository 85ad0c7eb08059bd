"""Preconditions, dry runs and the time at which something happened, over HTTP."""

from typing import Any

import httpx2
import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House


def send(person: Person, source: str, target: str, amount: object = 1, **terms: Any) -> httpx2.Response:
    body = {"fromAccount": source, "toAccount": target, "amount": amount, "idempotencyKey": fresh(), **terms}
    return person.post("/api/transactions", body)


@pytest.fixture(scope="module")
def pair(house: House) -> tuple[Person, str, str]:
    """Ann's account with 100 INR in one entry, and an empty one."""
    ann, account = house.funded(100)
    return ann, account, ann.open_account()


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"ifBalance": {"gte": 100}}, True),
        ({"ifBalance": {"gte": "100.01"}}, False),
        ({"ifBalance": {"lte": 100, "gte": 0}}, True),
        ({"ifBalance": {"eq": 99}}, False),
        ({"ifBalance": {"from": {"eq": 100}, "to": {"eq": 0}}}, True),
        ({"ifBalance": {"to": {"gte": 1}}}, False),
        ({"ifVersion": 1}, True),
        ({"ifVersion": 2}, False),
        ({"ifVersion": {"from": 1, "to": 0}}, True),
        ({"ifVersion": {"to": 1}}, False),
    ],
)
def test_a_condition_is_judged_on_either_account(
    pair: tuple[Person, str, str], conditions: dict[str, Any], holds: bool
) -> None:
    ann, account, empty = pair
    answer = send(ann, account, empty, dryRun=True, **conditions)
    assert answer.status_code == (200 if holds else 412), answer.text
    if not holds:
        assert answer.json()["code"] == "precondition_failed"
        assert answer.json().keys() & {"balance", "version"}


def test_a_condition_tells_nothing_about_somebody_elses_account(house: House) -> None:
    ann, account = house.funded(100)
    _, foreign = house.funded(55)
    refused = send(ann, account, foreign, ifBalance={"to": {"gte": 50}})
    assert refused.json()["code"] == "not_account_owner"
    assert "55" not in refused.text


@pytest.mark.parametrize(
    "terms",
    [
        {"ifBalance": {}},
        {"ifBalance": {"gt": 1}},
        {"ifBalance": {"gte": "1e2"}},
        {"ifBalance": {"gte": True}},
        {"ifBalance": [1]},
        {"ifBalance": 5},
        {"ifBalance": {"from": {"gte": 1}, "gte": 1}},
        {"ifVersion": -1},
        {"ifVersion": "1"},
        {"ifVersion": 1.5},
        {"ifVersion": {"from": 1, "both": 1}},
        {"dryRun": "yes"},
        {"effectiveAt": "yesterday"},
        {"effectiveAt": "2026-01-01T00:00:00"},
        {"effectiveAt": 5},
        {"effectiveAt": "0001-01-01T00:00:00+14:00"},
        {"effectiveAt": "9999-12-31T23:59:59Z"},
        {"metadata": []},
        {"metadata": {"a": "x" * 17_000}},
        {"description": "x" * 501},
        {"reference": "two\nlines"},
        {"rate": 5},
        {"legs": "all"},
    ],
)
def test_malformed_terms_are_refused_and_leave_nothing(house: House, terms: dict[str, Any]) -> None:
    ann, account = house.funded(100)
    target, before = ann.open_account(), None
    before = house.tables.position()
    refused = send(ann, account, target, **terms)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_field"), refused.text
    assert house.tables.position() == before


def test_a_dry_run_says_what_would_happen_and_stores_nothing(house: House) -> None:
    ann, account = house.funded(100)
    _, foreign = house.funded(7)
    before = house.tables.position()
    said = ann.post(
        "/api/transactions",
        {"fromAccount": account, "toAccount": foreign, "amount": 30, "dryRun": True, "metadata": {"a": 1}},
    ).json()
    assert said["dryRun"] is True
    assert said["balances"] == [{"account": account, "balance": 70, "available": 70, "currency": "INR"}]
    assert said["transaction"]["amount"] == 30
    assert "_id" not in said["transaction"]
    assert (house.tables.position(), ann.balance(account)) == (before, 100)


def test_a_dry_run_with_too_little_money_says_what_would_pass_and_when(house: House) -> None:
    ann, account = house.funded(100)
    target = ann.open_account()
    held = send(ann, account, target, 30, hold=True, expiresIn=3600).json()["transaction"]
    send(ann, account, target, 30, hold=True, expiresIn=7200)
    refused = send(ann, account, target, 60, dryRun=True)
    assert (refused.status_code, refused.json()["code"]) == (400, "insufficient_funds")
    assert refused.json()["largestAmount"] == 40
    assert refused.json()["earliestAvailableAt"] == held["expiresAt"]
    assert "earliestAvailableAt" not in send(ann, account, target, 101, dryRun=True).json()


def test_every_movement_can_be_tried(house: House) -> None:
    ann, account = house.funded(100)
    target = ann.open_account()
    moved = send(ann, account, target, 10).json()["transaction"]["_id"]
    held = send(ann, account, target, 10, hold=True).json()["transaction"]["_id"]
    before = house.tables.position()
    for path, expected in (
        (f"{moved}/reverse", (100, 90)),
        (f"{held}/capture", (80, 80)),
        (f"{held}/void", (90, 90)),
    ):
        said = ann.post(f"/api/transactions/{path}", {"dryRun": True}).json()
        mine = next(head for head in said["balances"] if head["account"] == account)
        assert (mine["balance"], mine["available"]) == expected
    fund = house.system.post(
        "/api/transactions/initial-funds", {"toAccount": account, "amount": 5, "dryRun": True}
    )
    assert fund.json()["transaction"]["kind"] == "INITIAL_FUNDS"
    assert house.tables.position() == before


def test_what_happened_earlier_says_both_times(house: House) -> None:
    ann, account = house.funded(100)
    target = ann.open_account()
    moved = send(ann, account, target, 10, effectiveAt="2026-01-31T23:30:00+05:30").json()["transaction"]
    assert moved["effectiveAt"] == "2026-01-31T18:00:00.000Z"
    assert moved["createdAt"] > "2026-11"
    assert (
        ann.get(f"/api/transactions/{moved['_id']}").json()["transaction"]["effectiveAt"]
        == moved["effectiveAt"]
    )
    refused = send(ann, account, target, 10, effectiveAt="2126-01-31T23:30:00Z").json()
    assert (refused["code"], refused["field"]) == ("invalid_field", "effectiveAt")


def test_a_closed_period_takes_nothing_but_a_restatement_by_the_house(house: House) -> None:
    ann, account = house.funded(100, currency="INR")
    target = ann.open_account()
    house.tables.script(
        "INSERT INTO period_locks VALUES ('INR', '2020-01-01', now()) ON CONFLICT (currency) DO NOTHING"
    )
    try:
        refused = send(ann, account, target, 10, effectiveAt="2019-12-31T23:59:59Z").json()
        assert (refused["code"], refused["closedUntil"]) == ("period_closed", "2020-01-01T00:00:00.000Z")
        still = send(ann, account, target, 10, effectiveAt="2019-12-31T23:59:59Z", restate=True).json()
        assert still["code"] == "period_closed"
        assert send(ann, account, target, 10, effectiveAt="2020-01-01T00:00:00Z").status_code == 201
        body = {"toAccount": account, "amount": 1, "idempotencyKey": fresh()}
        late = {"effectiveAt": "2019-12-31T23:59:59Z", "restate": True}
        assert house.system.post("/api/transactions/initial-funds", body | late).status_code == 201
    finally:
        house.tables.script("DELETE FROM period_locks")


def test_notes_come_back_as_they_were_sent(house: House) -> None:
    ann, account = house.funded(100)
    notes = {"description": "Rent, November", "reference": "RF18-539", "metadata": {"flat": 12, "x": [1.50]}}
    moved = send(ann, account, ann.open_account(), 10, **notes).json()["transaction"]
    seen = ann.get(f"/api/transactions/{moved['_id']}").json()["transaction"]
    for document in (moved, seen):
        assert {name: document[name] for name in notes} == notes
