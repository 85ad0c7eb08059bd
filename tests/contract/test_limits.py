"""What an account may have and pay: set by operators, seen by its owner, judged from then on."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House

NONE = {"floor": 0, "ceiling": None, "single": None, "daily": None, "monthly": None, "hourly": None}
Set = Callable[..., httpx2.Response]


@pytest.fixture(scope="module")
def operator(house: House) -> Person:
    email = f"{fresh('operator')}@example.com"
    made = house.service.command(
        *("user", "create", "--email", email, "--name", "Olga", "--password", "a long secret", "--operator")
    )
    assert made.returncode == 0, made.stderr
    return house.client.log_in(email, "a long secret")


def _set(person: Person, account: str, **limits: object) -> httpx2.Response:
    return person.patch(f"/api/accounts/{account}/limits", {"reason": "agreed"} | limits)


def _limits(person: Person, account: str) -> dict[str, Any]:
    answer = person.get(f"/api/accounts/{account}/limits")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_new_account_may_not_fall_below_zero_and_has_no_other_limit(house: House) -> None:
    ann = house.client.register()
    account = ann.open_account(currency="JPY")
    assert _limits(ann, account) == {
        "success": True,
        "accountId": account,
        "currency": "JPY",
        "limits": NONE,
        "usage": None,
    }


def test_limits_are_set_removed_and_seen(house: House, operator: Person) -> None:
    ann = house.client.register()
    account = ann.open_account()
    path = f"/api/accounts/{account}/limits"
    said = operator.put(path, {"floor": "-20.5", "daily": 100, "hourly": 3, "reason": "agreed"}).json()
    assert said["limits"] == NONE | {"floor": -20.5, "daily": 100, "hourly": 3}
    assert _limits(ann, account) == said
    said = operator.patch(path, {"ceiling": 1000, "daily": None, "reason": "agreed"}).json()
    assert said["limits"] == NONE | {"floor": -20.5, "ceiling": 1000, "hourly": 3}
    said = operator.put(path, {"single": 0, "reason": "agreed"}).json()
    assert said["limits"] == NONE | {"single": 0}
    said = operator.put(path, {"reason": "agreed"}).json()
    assert (said["limits"], said["usage"]) == (NONE, None)
    assert house.tables.value("SELECT limited FROM accounts WHERE id = $1", bytes.fromhex(account)) is False


def test_a_change_is_told_whole_with_its_reason(house: House, operator: Person) -> None:
    account = house.client.register().open_account(currency="KWD")
    _set(operator, account, floor=-1.125, hourly=5)
    _set(operator, account, hourly=6)
    before = house.tables.position()
    _set(operator, account, hourly="6", floor="-1.1250")
    assert house.tables.position() == before
    newest, oldest, *_ = operator.get(f"/api/accounts/{account}/events").json()["events"]
    assert (newest["kind"], newest["by"], newest["actor"]) == ("LIMITS_CHANGED", "OPERATOR", operator.id)
    assert newest["reason"] == "agreed"
    assert newest["before"] == oldest["after"] == NONE | {"floor": -1.125, "hourly": 5}
    assert newest["after"] == NONE | {"floor": -1.125, "hourly": 6}
    details = house.tables.value(
        "SELECT details FROM events WHERE account_id = $1 AND kind = 'LIMITS_CHANGED' ORDER BY position",
        bytes.fromhex(account),
    )
    assert json.loads(details)["after"]["floor"] == -1125


def test_an_overdraft_is_money_to_spend(house: House, operator: Person) -> None:
    ann, account = house.funded(10)
    other = ann.open_account()
    assert ann.send(account, other, 15).json()["code"] == "insufficient_funds"
    _set(operator, account, floor=-5)
    assert ann.send(account, other, 15).status_code == 201
    assert ann.balance(account) == -5
    refused = ann.send(account, other, "0.01").json()
    assert (refused["code"], refused["available"]) == ("insufficient_funds", 0)


def test_a_floor_above_zero_keeps_a_minimum(house: House, operator: Person) -> None:
    ann, account = house.funded(10)
    _set(operator, account, floor=4)
    assert ann.send(account, ann.open_account(), "6.01").json()["code"] == "insufficient_funds"
    assert ann.send(account, ann.open_account(), 6).status_code == 201


def test_a_ceiling_refuses_what_would_exceed_it(house: House, operator: Person) -> None:
    ann, account = house.funded(10)
    target = ann.open_account()
    _set(operator, target, ceiling="5.5")
    assert ann.send(account, target, "5.51").json()["code"] == "ceiling_exceeded"
    assert ann.send(account, target, "5.5").status_code == 201


@pytest.mark.parametrize(
    ("limit", "fact"), [({"floor": "10.01"}, {"available": 10}), ({"ceiling": "9.99"}, {"balance": 10})]
)
def test_a_floor_or_ceiling_beyond_what_is_there_is_refused_with_what_is_there(
    house: House, operator: Person, limit: dict[str, object], fact: dict[str, object]
) -> None:
    _, account = house.funded(10)
    before = house.tables.position()
    answer = _set(operator, account, **limit)
    assert (answer.status_code, answer.json()["code"]) == (409, "limit_conflict")
    assert fact.items() <= answer.json().items()
    assert (answer.json()["field"], answer.json()["currency"]) == (next(iter(limit)), "INR")
    assert house.tables.position() == before
    assert _set(operator, account, floor=10, ceiling=10).status_code == 200


WRONG = [
    *(
        ({"daily": value}, "invalid_amount")
        for value in (-1, "-0", "1e2", True, [], {}, "", " 1", 1.001, 10**14)
    ),
    *(({"floor": value}, "invalid_amount") for value in ("--1", "-", "+1", -1.001, -(10**14), "1_000")),
    ({"ceiling": -1}, "invalid_amount"),
    *(({"hourly": value}, "invalid_field") for value in (-1, 1.5, "x", True, 10**9, [])),
    ({"reason": ""}, "missing_field"),
    ({"reason": None}, "missing_field"),
    ({"reason": "two\nlines"}, "invalid_field"),
]


@pytest.mark.parametrize(("wrong", "code"), WRONG, ids=str)
def test_a_limit_that_cannot_be_is_refused(
    house: House, operator: Person, wrong: dict[str, object], code: str
) -> None:
    account = house.client.register().open_account()
    before = house.tables.position()
    answer = _set(operator, account, **wrong)
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert house.tables.position() == before


def test_a_settlement_account_may_get_a_floor_and_lose_it(house: House, operator: Person) -> None:
    account = house.system.open_account(currency="TND")
    assert _limits(house.system, account)["limits"]["floor"] is None
    _set(operator, account, floor=-100)
    target = house.client.register().open_account(currency="TND")
    assert house.system.fund(target, 101).json()["code"] == "insufficient_funds"
    assert _set(operator, account, floor=None).json()["limits"]["floor"] is None
    assert house.system.fund(target, 101).status_code == 201
