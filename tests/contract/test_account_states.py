"""The states of an account by their short paths, and the audit trail of what was changed about it."""

from typing import Any

import pytest

from nostro.api.account_states import VERBS
from tests.client import Person, fresh
from tests.contract.conftest import House


@pytest.fixture(scope="module")
def operator(house: House) -> Person:
    email = f"{fresh('operator')}@example.com"
    made = house.service.command(
        *("user", "create", "--email", email, "--name", "Olga", "--password", "a long secret", "--operator")
    )
    assert made.returncode == 0, made.stderr
    return house.client.log_in(email, "a long secret")


def _events(person: Person, account: str, query: str = "") -> list[dict[str, Any]]:
    answer = person.get(f"/api/accounts/{account}/events{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["events"])


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_does_what_its_status_does(house: House, operator: Person, verb: str) -> None:
    account = house.client.register().open_account()
    if VERBS[verb].value == "ACTIVE":
        operator.post(f"/api/accounts/{account}/block", {"reason": "fraud"})
    answer = operator.post(f"/api/accounts/{account}/{verb.upper()}", {"reason": "asked for"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["account"]["status"] == VERBS[verb].value
    event = _events(operator, account)[0]
    assert (event["after"], event["reason"]) == ({"status": VERBS[verb].value}, "asked for")


@pytest.mark.parametrize("body", [None, {}, {"reason": ""}, {"reason": None}])
def test_a_reason_is_required(operator: Person, house: House, body: object) -> None:
    account = house.client.register().open_account()
    answer = operator.post(f"/api/accounts/{account}/freeze", body)
    assert (answer.status_code, answer.json()["fields"]) == (400, ["reason"])


def test_the_trail_tells_every_change_newest_first(house: House, operator: Person) -> None:
    ann = house.client.register()
    account = ann.open_account(name="Rent")
    ann.patch(f"/api/accounts/{account}", {"metadata": {"rooms": 2}})
    ann.post(f"/api/accounts/{account}/deactivate", {"reason": "away"})
    ann.post(f"/api/accounts/{account}/activate", {"reason": "back"})
    operator.post(f"/api/accounts/{account}/block", {"reason": "court order 12"})
    assert house.service.command("account", "status", account, "ACTIVE", "--reason", "lifted").returncode == 0
    told = [
        (event["kind"], event["by"], event["actor"], event["reason"], event["before"], event["after"])
        for event in _events(operator, account)
    ]
    status = "ACCOUNT_STATUS_CHANGED"
    assert told == [
        (status, "COMMAND_LINE", None, "lifted", {"status": "BLOCKED"}, {"status": "ACTIVE"}),
        (status, "OPERATOR", operator.id, "court order 12", {"status": "ACTIVE"}, {"status": "BLOCKED"}),
        (status, "OWNER", ann.id, "back", {"status": "INACTIVE"}, {"status": "ACTIVE"}),
        (status, "OWNER", ann.id, "away", {"status": "ACTIVE"}, {"status": "INACTIVE"}),
        ("ACCOUNT_DETAILS_CHANGED", "OWNER", ann.id, None, {"metadata": None}, {"metadata": {"rooms": 2}}),
        ("ACCOUNT_OPENED", "OWNER", ann.id, None, None, {"status": "ACTIVE", "systemAccount": False}),
    ]
    positions = [event["position"] for event in _events(operator, account)]
    assert positions == sorted(positions, reverse=True)


def test_a_customer_is_not_told_who_of_the_staff_acted_or_why(house: House, operator: Person) -> None:
    ann = house.client.register()
    account = ann.open_account()
    operator.post(f"/api/accounts/{account}/block", {"reason": "suspected fraud"})
    event = _events(ann, account)[0]
    assert (event["by"], event["actor"], event["reason"]) == ("OPERATOR", None, None)
    assert event["after"] == {"status": "BLOCKED"}
    assert "suspected" not in ann.get(f"/api/accounts/{account}/events").text


def test_the_trail_comes_in_pages(house: House, operator: Person) -> None:
    account = house.client.register().open_account()
    for verb in ("freeze", "activate", "freeze"):
        operator.post(f"/api/accounts/{account}/{verb}", {"reason": verb})
    every = _events(operator, account)
    assert _events(operator, account, "?limit=2") + _events(operator, account, "?limit=2&skip=2") == every
    assert operator.get(f"/api/accounts/{account}/events?limit=201").json()["code"] == "invalid_field"
