"""Name, description, reference and metadata of accounts: given, changed, shown and found again."""

import json
from typing import Any

import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House

DETAILS = {
    "name": "Rent",
    "description": "First of the month.\nBoth flats.",
    "reference": "FLAT-12 é",
    "metadata": {"lease": {"rooms": 2, "areas": [20.5, None, True]}, "key": "value"},
}


def _accounts(person: Person, query: str) -> list[str]:
    answer = person.get(f"/api/accounts{query}")
    assert answer.status_code == 200, answer.text
    return [account["_id"] for account in answer.json()["accounts"]]


def _events(house: House, account: str) -> list[Any]:
    return house.tables.rows(
        "SELECT actor, details FROM events WHERE account_id = $1 AND kind = 'ACCOUNT_DETAILS_CHANGED' "
        "ORDER BY position",
        bytes.fromhex(account),
    )


def test_what_is_said_at_opening_is_shown(house: House) -> None:
    ann = house.client.register()
    opened = ann.post("/api/accounts", DETAILS).json()["account"]
    assert {name: opened[name] for name in DETAILS} == DETAILS
    assert ann.get(f"/api/accounts/{opened['_id']}").json()["account"] == opened
    plain = ann.post("/api/accounts").json()["account"]
    assert {plain[name] for name in DETAILS} == {None}


def test_numbers_in_metadata_keep_every_digit(house: House) -> None:
    ann = house.client.register()
    body = b'{"metadata": {"a": 1.10, "b": 12345678901234567890.0001, "c": 1e3, "d": -0}}'
    answer = ann.post("/api/accounts", content=body)
    assert '{"a": 1.10, "b": 12345678901234567890.0001, "c": 1000, "d": 0}' in answer.text
    account = answer.json()["account"]["_id"]
    ann.patch(f"/api/accounts/{account}", content=b'{"metadata": {"a": 1.100}}')
    details = _events(house, account)[0]["details"]
    assert '"after": {"metadata": {"a": 1.100}}' in details
    assert '"b": 12345678901234567890.0001' in details


def test_what_is_absent_stays_and_null_takes_away(house: House) -> None:
    ann = house.client.register()
    account = ann.open_account(**DETAILS)
    path = f"/api/accounts/{account}"
    changed = ann.patch(path, {"name": "Flat", "metadata": {"rooms": 3}}).json()["account"]
    assert {name: changed[name] for name in DETAILS} == DETAILS | {"name": "Flat", "metadata": {"rooms": 3}}
    emptied = ann.patch(path, {"name": None, "description": " ", "metadata": None}).json()["account"]
    assert [emptied[name] for name in DETAILS] == [None, None, "FLAT-12 é", None]
    first, second = _events(house, account)
    assert first["actor"] == bytes.fromhex(ann.id)
    assert json.loads(first["details"]) == {
        "before": {"name": "Rent", "metadata": DETAILS["metadata"]},
        "after": {"name": "Flat", "metadata": {"rooms": 3}},
    }
    assert set(json.loads(second["details"])["after"].values()) == {None}


def test_a_change_that_changes_nothing_leaves_no_event(house: House) -> None:
    ann = house.client.register()
    account = ann.open_account(**DETAILS)
    before = house.tables.position()
    for body in ({}, {"reference": " FLAT-12 é "}, {"metadata": DETAILS["metadata"], "color": "red"}):
        assert ann.patch(f"/api/accounts/{account}", body).status_code == 200
    assert house.tables.position() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x" * 201},
        {"name": 5},
        {"description": "x" * 501},
        {"description": "\x00"},
        {"reference": "x" * 141},
        {"reference": "two\nlines"},
        {"reference": False},
        {"metadata": []},
        {"metadata": "{}"},
        {"metadata": {"a": "\x00"}},
        {"metadata": {"a": "x" * 17_000}},
    ],
    ids=str,
)
def test_what_cannot_be_kept_is_refused_and_changes_nothing(house: House, wrong: dict[str, Any]) -> None:
    ann = house.client.register()
    account = ann.open_account()
    before = house.tables.position()
    for answer in (
        ann.post("/api/accounts", wrong),
        ann.patch(f"/api/accounts/{account}", {"description": "right"} | wrong),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_field"), answer.text
        assert answer.json()["field"] == next(iter(wrong))
    assert house.tables.position() == before


def test_accounts_are_found_by_what_was_said_of_them(house: House) -> None:
    ann = house.client.register()
    reference = fresh("ref")
    first = ann.open_account(name="Rent", reference=reference, metadata={"order": 5, "on": True, "a b]": "x"})
    second = ann.open_account(description="Trip to NARA", metadata={"order": "5", "on": "true"})
    house.client.register("Bob").open_account(reference=reference, metadata={"order": 5})
    assert _accounts(ann, f"?reference={reference}") == [first]
    assert _accounts(ann, "?metadata[order]=5") == [first, second]
    assert _accounts(ann, "?metadata[order]=5.00&metadata[on]=true") == [first]
    assert _accounts(ann, "?metadata%5Ba%20b%5D%5D=x") == [first]
    assert _accounts(ann, "?text=nara") == [second]
    assert _accounts(ann, f"?text={reference[2:].upper()}") == [first]
    assert _accounts(ann, "?text=nara&metadata[order]=6") == []
    assert _accounts(ann, "?reference=&text=") == [first, second]


def test_staff_finds_among_everybodys(house: House) -> None:
    ann = house.client.register()
    reference = fresh("ref")
    mine = ann.open_account(reference=reference, metadata={"ref": reference})
    for query in (f"reference={reference}", f"metadata[ref]={reference}", f"text={reference}"):
        found = house.system.get(f"/api/accounts/all?{query}").json()["accounts"]
        assert [account["_id"] for account in found] == [mine]
    assert house.system.get("/api/accounts/all?reference=nobody%27s").json()["accounts"] == []


@pytest.mark.parametrize(
    "query",
    [
        "reference=%00",
        "reference=" + "x" * 141,
        "text=%00",
        "text=" + "x" * 201,
        "metadata[a]=%00",
        "metadata[%00]=1",
        "metadata[a]=1&metadata[a]=2",
        "&".join(f"metadata[{name}]=1" for name in "abcde"),
    ],
)
def test_a_search_for_what_cannot_be_is_refused(house: House, query: str) -> None:
    ann = house.client.register()
    answer = ann.get(f"/api/accounts?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_field")
