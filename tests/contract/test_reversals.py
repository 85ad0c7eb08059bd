"""Reversals over HTTP: refunds by the receiver, by an operator, in parts, never more than there was."""

from typing import Any

import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House


@pytest.fixture(scope="module")
def operator(house: House) -> Person:
    email = f"{fresh('operator')}@example.com"
    made = house.service.command(
        "user", "create", "--email", email, "--name", "Op", "--password", "a long secret", "--operator"
    )
    assert made.returncode == 0, made.stderr
    return house.client.log_in(email, "a long secret")


def paid(house: House, amount: object = 10) -> tuple[Person, str, Person, str, str]:
    """Ann, with 100 INR, has paid Bob."""
    ann, account = house.funded(100)
    bob = house.client.register("Bob")
    target = bob.open_account()
    moved = ann.send(account, target, amount).json()["transaction"]
    assert (moved["reversedAmount"], moved["reversibleAmount"]) == (0, amount)
    return ann, account, bob, target, moved["_id"]


def reverse(person: Person, transaction: str, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = person.post(f"/api/transactions/{transaction}/reverse", body)
    return answer.status_code, answer.json()


def test_the_receiver_refunds_in_parts_until_nothing_is_left(house: House) -> None:
    ann, account, bob, target, moved = paid(house)
    status, said = reverse(bob, moved, amount=4, reason="The heating was cold")
    assert (status, said["transaction"]["kind"], said["transaction"]["parent"]) == (201, "REVERSAL", moved)
    assert (said["transaction"]["fromAccount"], said["transaction"]["toAccount"]) == (target, account)
    assert said["transaction"]["description"] == "The heating was cold"
    seen = ann.get(f"/api/transactions/{moved}").json()["transaction"]
    assert (seen["status"], seen["reversedAmount"], seen["reversibleAmount"]) == ("COMPLETED", 4, 6)
    too_much = reverse(bob, moved, amount="6.01")[1]
    assert (too_much["code"], too_much["reversible"]) == ("exceeds_reversible_amount", 6)
    assert reverse(bob, moved)[0] == 201
    seen = ann.get(f"/api/transactions/{moved}").json()["transaction"]
    assert (seen["status"], seen["reversibleAmount"], len(seen["related"])) == ("REVERSED", 0, 2)
    assert reverse(bob, moved)[1]["code"] == "already_reversed"
    assert (ann.balance(account), bob.balance(target)) == (100, 0)


def test_the_sender_alone_may_not(house: House) -> None:
    ann, _, _, _, moved = paid(house)
    status, said = reverse(ann, moved)
    assert (status, said["code"]) == (403, "not_receiver")


def test_a_reversal_cannot_be_reversed(house: House) -> None:
    ann, _, bob, _, moved = paid(house)
    back = reverse(bob, moved)[1]["transaction"]["_id"]
    assert reverse(ann, back)[1]["code"] == "not_reversible"


def test_a_receiver_who_spent_the_money_cannot_refund_unless_an_operator_forces_it(
    house: House, operator: Person
) -> None:
    ann, account, bob, target, moved = paid(house)
    bob.send(target, ann.open_account(), 7)
    refused = reverse(operator, moved)[1]
    assert (refused["code"], refused["shortfall"]) == ("insufficient_funds", 7)
    assert reverse(bob, moved, force=True)[1]["code"] == "not_operator"
    assert reverse(operator, moved, force=True)[0] == 201
    assert (ann.balance(account), bob.balance(target)) == (100, -7)
    assert bob.send(target, account, 1).json()["code"] == "insufficient_funds"


def test_a_capture_is_refunded_like_a_transfer(house: House) -> None:
    ann, account = house.funded(100)
    bob = house.client.register("Bob")
    target = bob.open_account()
    body = {"fromAccount": account, "toAccount": target, "amount": 40, "hold": True, "idempotencyKey": fresh()}
    hold = ann.post("/api/transactions", body).json()["transaction"]["_id"]
    assert reverse(bob, hold)[1]["code"] == "not_reversible"
    capture = bob.post(f"/api/transactions/{hold}/capture").json()["transaction"]["_id"]
    assert reverse(bob, capture, amount=1)[0] == 201
    assert ann.balance(account) == 61


def test_legs_flow_back_in_proportion_and_leave_nothing(house: House, operator: Person) -> None:
    ann, account = house.funded(100)
    shop, tax = house.client.register("Shop"), house.client.register("Tax")
    price, vat = shop.open_account(), tax.open_account()
    legs = [{"toAccount": price, "amount": "9.99"}, {"toAccount": vat, "amount": "0.02"}]
    sent = ann.post("/api/transactions", {"fromAccount": account, "legs": legs, "idempotencyKey": fresh()})
    moved = sent.json()["transaction"]["_id"]
    assert reverse(shop, moved)[1]["code"] == "not_receiver"
    for amount in ("5", "4", "1.01"):
        assert reverse(operator, moved, amount=amount)[0] == 201, amount
    assert (ann.balance(account), shop.balance(price), tax.balance(vat)) == (100, 0, 0)
    assert reverse(operator, moved)[1]["code"] == "already_reversed"
