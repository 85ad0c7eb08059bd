"""The history of what is more than one movement: legs, exchanges, captures, each with who stood opposite."""

from typing import Any

from tests.client import Person, fresh
from tests.contract.conftest import House


def _entries(person: Person, account: str, query: str = "") -> list[dict[str, Any]]:
    answer = person.get(f"/api/accounts/{account}/entries?{query}")
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, Any]] = answer.json()["entries"]
    return entries


def test_each_leg_shows_who_stood_opposite_and_is_found_by_it(house: House) -> None:
    ann, first = house.funded(100)
    bob, carol = house.client.register("Bob"), house.client.register("Carol")
    of_bob, of_carol = bob.open_account(), carol.open_account()
    legs = [
        {"toAccount": of_bob, "amount": 1},
        {"toAccount": of_carol, "amount": 2},
        {"toAccount": of_carol, "amount": 3},
    ]
    body = {"fromAccount": first, "legs": legs, "idempotencyKey": fresh()}
    answer = ann.post("/api/transactions", body)
    assert answer.status_code == 201, answer.text
    shown = [(line["amount"], line["counterpartyUserName"]) for line in _entries(ann, first, "limit=3")]
    assert shown == [(3, "Carol"), (2, "Carol"), (1, "Bob")]
    assert [line["amount"] for line in _entries(ann, first, f"counterparty={of_bob}")] == [1]
    assert [line["amount"] for line in _entries(ann, first, f"counterparty={of_carol}&order=asc")] == [2, 3]
    assert [line["counterpartyUserName"] for line in _entries(carol, of_carol)] == ["Ann", "Ann"]

    moved = answer.json()["transaction"]["_id"]
    back = house.staff("operator").post(f"/api/transactions/{moved}/reverse", {"idempotencyKey": fresh()})
    assert back.status_code == 201, back.text
    returned = _entries(ann, first, "kind=REVERSAL&order=asc")
    assert [(line["amount"], line["counterpartyUserName"]) for line in returned] == [
        (3, "Carol"),
        (2, "Carol"),
        (1, "Bob"),
    ]
    assert {line["status"] for line in _entries(ann, first, "kind=TRANSFER")} == {"REVERSED"}
    assert _entries(ann, first, "status=PENDING") == []


def test_an_exchange_shows_the_settlement_accounts_it_passes_through(house: House) -> None:
    ann, first = house.funded(100)
    house.system.open_account(currency="SGD")
    house.tables.script(
        "INSERT INTO rates (base, quote, rate, maker, updated_at) "
        f"VALUES ('INR', 'SGD', 0.015, '\\x{house.system.id}', now()) ON CONFLICT DO NOTHING"
    )
    target = ann.open_account(currency="SGD")
    body = {"fromAccount": first, "toAccount": target, "amount": 100, "idempotencyKey": fresh()}
    assert ann.post("/api/transactions/exchange", body).status_code == 201
    paid, received = _entries(ann, first, "limit=1")[0], _entries(ann, target)[0]
    assert (paid["amount"], paid["currency"], paid["counterpartyUserName"]) == (100, "INR", "System")
    assert (received["amount"], received["currency"], received["counterpartyUserName"]) == (
        1.5,
        "SGD",
        "System",
    )
