"""Who may see and change what: customers their own, auditors see everything, operators change statuses."""

from collections.abc import Callable

import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House


@pytest.fixture(scope="module")
def staff(house: House) -> Callable[[str], Person]:
    """A user with a role that only the command line gives."""
    made: dict[str, Person] = {}

    def find(role: str) -> Person:
        if role not in made:
            email = f"{fresh(role)}@example.com"
            created = house.service.command(
                *("user", "create", "--email", email, "--name", role, "--password", "a long secret"),
                f"--{role}",
            )
            assert created.returncode == 0, created.stderr
            made[role] = house.client.log_in(email, "a long secret")
        return made[role]

    return find


def _change(person: Person, account: str, status: str) -> tuple[int, str]:
    body = {"status": status, "reason": "asked for"}
    answer = person.post(f"/api/accounts/{account}/status", body)
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize("role", ["operator", "auditor"])
def test_staff_sees_every_account_and_transaction(
    house: House, staff: Callable[[str], Person], role: str
) -> None:
    ann, first = house.funded(10)
    moved = ann.send(first, ann.open_account(), 1).json()["transaction"]["_id"]
    person = staff(role)
    assert person.get(f"/api/accounts/{first}").json()["account"]["balance"] == 9
    assert person.get(f"/api/transactions/{moved}").status_code == 200
    assert person.fund(first, 1).json()["code"] == "not_system_user"
    assert person.send(first, person.open_account(), 1).json()["code"] == "not_account_owner"


def test_a_customer_sees_and_changes_only_what_is_theirs(house: House) -> None:
    ann, first = house.funded(10)
    bob = house.client.register("Bob")
    assert bob.get(f"/api/accounts/{first}").status_code == 404
    assert _change(bob, first, "INACTIVE") == (404, "account_not_found")
    assert _change(ann, first, "FROZEN") == (403, "not_operator")
    assert _change(ann, first, "INACTIVE") == (200, "")
    assert _change(ann, first, "ACTIVE") == (200, "")
    assert _change(ann, first, "CLOSED") == (409, "status_conflict")


def test_only_an_operator_freezes_and_a_frozen_account_neither_pays_nor_receives(
    house: House, staff: Callable[[str], Person]
) -> None:
    ann, first = house.funded(10)
    second = ann.open_account()
    assert _change(staff("auditor"), first, "FROZEN") == (404, "account_not_found")
    assert _change(staff("operator"), first, "SUSPENDED") == (200, "")
    assert ann.send(first, second, 1).json()["code"] == "account_not_active"
    assert house.system.fund(first, 1).json()["code"] == "account_not_active"
    assert _change(ann, first, "ACTIVE") == (403, "not_operator")
    assert _change(staff("operator"), first, "ACTIVE") == (200, "")
    assert ann.send(first, second, 10).status_code == 201
    assert _change(ann, first, "CLOSED") == (200, "")
    assert _change(staff("operator"), first, "ACTIVE") == (409, "status_conflict")
    events = house.tables.rows(
        "SELECT details->>'after' AS after FROM events "
        "WHERE account_id = $1 AND kind = 'ACCOUNT_STATUS_CHANGED' ORDER BY position",
        bytes.fromhex(first),
    )
    assert [event["after"] for event in events] == ["FROZEN", "ACTIVE", "CLOSED"]
