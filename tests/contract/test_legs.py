"""Many legs and splits over HTTP: atomic, and never a unit lost or made."""

from typing import Any

import httpx2
import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House


def send(person: Person, **body: Any) -> httpx2.Response:
    return person.post("/api/transactions", {"idempotencyKey": fresh(), **body})


def test_price_fee_and_tax_move_together(house: House) -> None:
    ann, account = house.funded(100)
    price, fee, tax = (house.client.register(name) for name in ("Shop", "Market", "Tax"))
    targets = [price.open_account(), fee.open_account(), tax.open_account()]
    legs = [
        {"fromAccount": account, "toAccount": target, "amount": amount}
        for target, amount in zip(targets, ("80", "2.50", "17.50"), strict=True)
    ]
    moved = send(ann, legs=legs).json()["transaction"]
    assert (moved["amount"], len(moved["legs"]), moved["legs"][1]["amount"]) == (100, 3, 2.5)
    seen = ann.get(f"/api/transactions/{moved['_id']}").json()["transaction"]
    assert seen["legs"] == moved["legs"]
    assert tax.get(f"/api/transactions/{moved['_id']}").status_code == 200
    assert [p.balance(t) for p, t in zip((price, fee, tax), targets, strict=True)] == [80, 2.5, 17.5]


def test_one_refused_leg_refuses_all(house: House) -> None:
    ann, account = house.funded(100)
    first, second = ann.open_account(), ann.open_account()
    legs = [
        {"fromAccount": account, "toAccount": first, "amount": 60},
        {"fromAccount": account, "toAccount": second, "amount": 60},
    ]
    refused = send(ann, legs=legs).json()
    assert (refused["code"], refused["available"]) == ("insufficient_funds", 40)
    assert [ann.balance(each) for each in (account, first, second)] == [100, 0, 0]


def test_a_leg_may_spend_what_a_leg_before_it_brought(house: House) -> None:
    ann, account = house.funded(100)
    purse, till = ann.open_account(), ann.open_account()
    legs = [
        {"fromAccount": account, "toAccount": purse, "amount": 70},
        {"fromAccount": purse, "toAccount": till, "amount": 70},
    ]
    assert send(ann, legs=legs[::-1]).json()["code"] == "insufficient_funds"
    assert send(ann, legs=legs).status_code == 201
    assert [ann.balance(each) for each in (account, purse, till)] == [30, 0, 70]


def test_the_worst_refusal_of_any_leg_is_the_answer(house: House) -> None:
    ann, account = house.funded(100)
    _, foreign = house.funded(1)
    target = ann.open_account()
    legs = [
        {"fromAccount": account, "toAccount": target, "amount": 1000},
        {"fromAccount": foreign, "toAccount": target, "amount": 1},
        {"fromAccount": account, "toAccount": "0" * 24, "amount": 1},
    ]
    assert send(ann, legs=legs).json()["code"] == "account_not_found"
    assert send(ann, legs=legs[:2]).json()["code"] == "not_account_owner"


@pytest.mark.parametrize(
    ("amount", "parts", "expected"),
    [
        ("100", [{"share": "2.5%"}, {"remainder": True}], [2.5, 97.5]),
        ("0.05", [{"share": "33.333333%"}, {"share": "33.333333%"}, {"remainder": True}], [0.02, 0.01, 0.02]),
        ("10.01", [{"amount": 3}, {"share": "50%"}, {"remainder": True}], [3, 5.01, 2]),
        ("0.01", [{"share": "50%"}, {"share": "50%"}], [0.01, 0]),
        ("100.03", [{"share": "25%"}, {"share": "25%"}, {"share": "50%"}], [25.01, 25.01, 50.01]),
    ],
)
def test_a_split_loses_no_unit(
    house: House, amount: str, parts: list[dict[str, Any]], expected: list[float]
) -> None:
    ann, account = house.funded(amount)
    targets = [ann.open_account() for _ in parts]
    to = [{"account": target, **part} for target, part in zip(targets, parts, strict=True)]
    sent = send(ann, fromAccount=account, amount=amount, to=to)
    assert sent.status_code == 201, sent.text
    assert [ann.balance(target) for target in targets] == expected
    assert ann.balance(account) == 0


@pytest.mark.parametrize(
    "parts",
    [
        [{"share": "50%"}],
        [{"share": "60%"}, {"share": "60%"}],
        [{"amount": 101}, {"remainder": True}],
        [{"remainder": True}, {"remainder": True}],
        [{"share": "0%"}, {"remainder": True}],
        [{"share": "101%"}],
        [{"share": 0.5}, {"remainder": True}],
        [{"share": "5"}, {"remainder": True}],
        [{"share": "5%", "amount": 1}],
        [{"remainder": False}],
        [{}],
        [],
        ["5%"],
        "everybody",
    ],
)
def test_a_split_that_does_not_come_out_is_refused(house: House, parts: Any) -> None:
    ann, account = house.funded(100)
    target = ann.open_account()
    to = [{"account": target, **part} if isinstance(part, dict) else part for part in parts]
    refused = send(ann, fromAccount=account, amount=100, to=to if isinstance(parts, list) else parts)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_field")
    assert ann.balance(account) == 100


def test_the_same_legs_under_one_key_are_one_transaction(house: House) -> None:
    ann, account = house.funded(100)
    targets = [ann.open_account(), ann.open_account()]
    legs = [{"fromAccount": account, "toAccount": target, "amount": 10} for target in targets]
    first = send(ann, legs=legs, idempotencyKey="both").json()["transaction"]
    again = send(ann, legs=[{**leg, "amount": "10.00"} for leg in legs], idempotencyKey="both")
    assert (again.status_code, again.json()["transaction"]["_id"]) == (200, first["_id"])
    other = send(ann, legs=legs[::-1], idempotencyKey="both").json()
    assert (other["code"], other["conflictingFields"]) == ("key_conflict", ["legs"])


def test_more_than_a_hundred_legs_are_refused(house: House) -> None:
    ann, account = house.funded(102)
    target = ann.open_account()
    legs = [{"fromAccount": account, "toAccount": target, "amount": 1}] * 101
    assert send(ann, legs=legs).json()["code"] == "invalid_field"
    assert send(ann, legs=legs[:100]).status_code == 201
    assert ann.balance(target) == 100
