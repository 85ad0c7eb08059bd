"""Holds over HTTP: money set aside, captured in parts, let go, extended, expired."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House


@pytest.fixture(scope="module")
def house(open_house: Callable[..., House]) -> House:
    """One of its own, whose settlement accounts, rates and books no other test touches."""
    return open_house()


@pytest.fixture
def hold(house: House) -> Callable[..., tuple[Person, str, Person, str, str]]:
    """Ann with 100 INR holds 40 of it for Bob: Ann, her account, Bob, his account, the hold."""

    def make(amount: object = 40, **terms: Any) -> tuple[Person, str, Person, str, str]:
        ann, account = house.funded(100)
        bob = house.client.register("Bob")
        target = bob.open_account()
        answer = ann.post(
            "/api/transactions",
            {
                "fromAccount": account,
                "toAccount": target,
                "amount": amount,
                "hold": True,
                "idempotencyKey": fresh(),
                **terms,
            },
        )
        assert answer.status_code == 201, answer.text
        made = answer.json()["transaction"]
        assert (made["status"], made["kind"], made["heldAmount"]) == ("PENDING", "HOLD", float(str(amount)))
        return ann, account, bob, target, made["_id"]

    return make


def ask(person: Person, hold: str, what: str, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = person.post(f"/api/transactions/{hold}/{what}", body)
    return answer.status_code, answer.json()


def state(person: Person, transaction: str) -> dict[str, Any]:
    found: dict[str, Any] = person.get(f"/api/transactions/{transaction}").json()["transaction"]
    return found


def balances(person: Person, account: str) -> tuple[float, float]:
    said = person.get(f"/api/accounts/balance/{account}").json()
    return said["balance"], said["available"]


def test_held_money_does_not_move_and_cannot_be_spent(hold: Callable[..., Any]) -> None:
    ann, account, _, target, _ = hold(40)
    assert balances(ann, account) == (100, 60)
    refused = ann.send(account, target, "60.01").json()
    assert (refused["code"], refused["available"]) == ("insufficient_funds", 60)
    assert ann.send(account, target, 60).status_code == 201
    assert balances(ann, account) == (40, 0)


def test_payer_and_receiver_both_find_a_hold_among_their_transactions(hold: Callable[..., Any]) -> None:
    ann, _, bob, _, made = hold(40)
    for person, direction, others in ((ann, "DEBIT", 1), (bob, "CREDIT", 0)):
        said = person.get("/api/transactions").json()
        assert (said["transactions"][0]["_id"], said["transactions"][0]["status"]) == (made, "PENDING")
        assert said["total"] == 1 + others
        only = person.get(f"/api/transactions?direction={direction.lower()}&status=PENDING").json()
        assert [one["_id"] for one in only["transactions"]] == [made]


def test_a_hold_is_captured_in_parts_until_nothing_is_left(hold: Callable[..., Any]) -> None:
    ann, account, bob, target, made = hold(40)
    status, said = ask(bob, made, "capture", amount="15.50", idempotencyKey="first")
    assert (status, said["transaction"]["kind"], said["transaction"]["parent"]) == (201, "CAPTURE", made)
    assert balances(ann, account) == (84.5, 60)
    assert ask(ann, made, "capture", amount=30)[1]["code"] == "exceeds_held_amount"
    assert ask(ann, made, "capture", amount=30)[1]["held"] == 24.5
    assert ask(ann, made, "capture")[0] == 201
    assert (balances(ann, account), balances(bob, target)) == ((60, 60), (40, 40))
    seen = state(ann, made)
    assert (seen["status"], seen["capturedAmount"], seen["heldAmount"]) == ("COMPLETED", 40, 0)
    assert [one["kind"] for one in seen["related"]] == ["CAPTURE", "CAPTURE"]
    assert ask(bob, made, "capture", amount=1)[1]["code"] == "already_captured"
    assert ask(ann, made, "void")[1]["code"] == "already_captured"


def test_a_final_capture_lets_the_rest_go(hold: Callable[..., Any]) -> None:
    ann, account, bob, _, made = hold(40)
    _, said = ask(bob, made, "capture", amount=10, final=True)
    assert said["transaction"]["releasedAmount"] == 30
    assert balances(ann, account) == (90, 90)
    seen = state(ann, made)
    assert (seen["status"], seen["capturedAmount"], seen["releasedAmount"]) == ("COMPLETED", 10, 30)


def test_a_voided_hold_has_failed_and_its_money_is_free(hold: Callable[..., Any]) -> None:
    ann, account, bob, _, made = hold(40)
    assert ask(bob, made, "void")[1]["transaction"]["kind"] == "VOID"
    assert balances(ann, account) == (100, 100)
    seen = state(ann, made)
    assert (seen["status"], seen["failureReason"]) == ("FAILED", "voided")
    assert ask(ann, made, "capture")[1]["code"] == "already_voided"
    assert ask(ann, made, "extend", expiresIn=60)[1]["code"] == "already_voided"


def test_an_expired_hold_never_counts_and_is_written_soon(house: House, hold: Callable[..., Any]) -> None:
    ann, account, _, target, made = hold(40, expiresIn=1)
    house.tables.wait_for_expiry(made)
    assert balances(ann, account) == (100, 100)
    assert ask(ann, made, "capture")[1]["code"] == "hold_expired"
    assert ann.send(account, target, 100).status_code == 201
    deadline = time.monotonic() + 20
    while not (related := state(ann, made)["related"]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [one["kind"] for one in related] == ["EXPIRY"]
    assert state(ann, made)["failureReason"] == "expired"


def test_an_extended_hold_expires_later(house: House, hold: Callable[..., Any]) -> None:
    ann, account, bob, _, made = hold(40, expiresIn=2)
    assert ask(bob, made, "extend", expiresIn=600)[1]["code"] == "not_account_owner"
    status, said = ask(ann, made, "extend", expiresIn=600)
    assert (status, said["transaction"]["kind"]) == (201, "EXTENSION")
    house.tables.wait_for_expiry(made)
    assert balances(ann, account) == (100, 60)
    assert state(ann, made)["expiresAt"] == said["transaction"]["expiresAt"]
    assert ask(bob, made, "capture")[0] == 201


def test_a_capture_under_one_key_happens_once(hold: Callable[..., Any]) -> None:
    ann, account, bob, _, made = hold(40)
    first = bob.post(f"/api/transactions/{made}/capture", {"amount": 10, "idempotencyKey": "once"})
    again = bob.post(f"/api/transactions/{made}/capture", {"amount": "10.00", "idempotencyKey": "once"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["transaction"]["_id"] == first.json()["transaction"]["_id"]
    other = bob.post(f"/api/transactions/{made}/capture", {"amount": 11, "idempotencyKey": "once"})
    assert (other.status_code, other.json()["conflictingFields"]) == (409, ["amount"])
    assert balances(ann, account) == (90, 60)


def test_a_key_is_used_up_by_a_hold_as_by_a_transfer(house: House, hold: Callable[..., Any]) -> None:
    ann, account, _, target, _ = hold(40, idempotencyKey="deposit")
    refused = ann.send(account, target, 40, key="deposit").json()
    assert (refused["code"], refused["conflictingFields"]) == ("key_conflict", ["hold"])


def test_a_stranger_finds_no_hold(house: House, hold: Callable[..., Any]) -> None:
    *_, made = hold(40)
    stranger = house.client.register("Eve")
    unknown = "0" * 24
    for what in ("capture", "void", "reverse"):
        assert ask(stranger, made, what)[1]["code"] == ask(stranger, unknown, what)[1]["code"] == "not_found"


def test_a_transfer_is_no_hold(house: House) -> None:
    ann, account = house.funded(10)
    moved = ann.send(account, ann.open_account(), 1).json()["transaction"]["_id"]
    for what, body in (("capture", {}), ("void", {}), ("extend", {"expiresIn": 60})):
        assert ask(ann, moved, what, **body)[1]["code"] == "not_a_hold"


def test_a_capture_from_a_frozen_account_is_refused(house: House, hold: Callable[..., Any]) -> None:
    _, account, bob, _, made = hold(40)
    house.tables.script(f"UPDATE accounts SET status = 'FROZEN' WHERE id = '\\x{account}'")
    assert ask(bob, made, "capture")[1]["code"] == "account_not_active"
    assert ask(bob, made, "void")[0] == 201


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"hold": "true"}, "hold"),
        ({"hold": 1}, "hold"),
        ({"hold": True, "expiresIn": 0}, "expiresIn"),
        ({"hold": True, "expiresIn": 1.5}, "expiresIn"),
        ({"hold": True, "expiresIn": "60"}, "expiresIn"),
        ({"hold": True, "expiresIn": 10**9}, "expiresIn"),
        ({"hold": False, "expiresIn": 60}, "expiresIn"),
        ({"hold": True, "effectiveAt": "2020-01-01T00:00:00Z"}, "hold"),
    ],
)
def test_senseless_terms_are_refused(house: House, terms: dict[str, Any], field: str) -> None:
    ann, account = house.funded(10)
    body = {"fromAccount": account, "toAccount": ann.open_account(), "amount": 1, "idempotencyKey": fresh()}
    refused = ann.post("/api/transactions", body | terms).json()
    assert (refused["code"], refused["field"]) == ("invalid_field", field)


def test_after_all_of_this_the_ledger_verifies(house: House) -> None:
    verified = house.service.command("verify")
    assert verified.returncode == 0, verified.stdout
