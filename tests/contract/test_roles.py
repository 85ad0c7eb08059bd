"""Who may see and change what: customers their own, auditors see everything, operators change statuses."""

from collections.abc import Callable

import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House

_REASON = {"reason": "asked for"}
_NOT_THERE = "account_not_found"
_OWN_OR_OPERATOR = ("", _NOT_THERE, _NOT_THERE, "", _NOT_THERE)
_SEEN_BY_STAFF = ("", _NOT_THERE, "", "", "")
_OPERATOR_ALONE = ("not_operator", _NOT_THERE, _NOT_THERE, "", _NOT_THERE)

# For each operation on an account what its owner, another customer, a system user, an operator and an auditor
# are answered: the code of the refusal, or nothing.
WHO_MAY = [
    ("GET /api/accounts/all", None, ("not_system_user", "not_system_user", "", "", "")),
    ("GET /api/accounts/{account}", None, _SEEN_BY_STAFF),
    ("PATCH /api/accounts/{account}", {"name": "Rent"}, _OWN_OR_OPERATOR),
    ("GET /api/accounts/{account}/events", None, _SEEN_BY_STAFF),
    ("GET /api/accounts/{account}/limits", None, _SEEN_BY_STAFF),
    ("PUT /api/accounts/{account}/limits", {"daily": 5} | _REASON, _OPERATOR_ALONE),
    ("PATCH /api/accounts/{account}/limits", {"floor": -5} | _REASON, _OPERATOR_ALONE),
    ("GET /api/currencies", None, ("", "", "", "", "")),
    ("GET /api/rates", None, ("", "", "", "", "")),
    ("POST /api/accounts/{account}/status", {"status": "INACTIVE"} | _REASON, _OWN_OR_OPERATOR),
    ("POST /api/accounts/{account}/deactivate", _REASON, _OWN_OR_OPERATOR),
    ("POST /api/accounts/{account}/close", _REASON, _OWN_OR_OPERATOR),
    ("POST /api/accounts/{account}/freeze", _REASON, _OPERATOR_ALONE),
    ("POST /api/accounts/{account}/suspend", _REASON, _OPERATOR_ALONE),
    ("POST /api/accounts/{account}/block", _REASON, _OPERATOR_ALONE),
    ("GET /api/events", None, ("", "", "", "", "")),
    ("GET /api/followers", None, ("not_operator", "not_operator", "not_operator", "", "")),
]


@pytest.mark.parametrize(("operation", "body", "answers"), WHO_MAY, ids=[row[0] for row in WHO_MAY])
def test_each_role_may_what_it_is_there_for(
    house: House,
    staff: Callable[[str], Person],
    operation: str,
    body: object,
    answers: tuple[str, ...],
) -> None:
    ann = house.client.register()
    people = [ann, house.client.register("Bob"), house.system, staff("operator"), staff("auditor")]
    for person, expected in zip(people, answers, strict=True):
        method, path = operation.format(account=ann.open_account()).split()
        answer = house.client.request(method, path, body, token=person.token)
        assert answer.json().get("code", "") == expected, answer.text


def test_system_users_and_operators_register_assets_and_system_users_set_rates(
    house: House, staff: Callable[[str], Person]
) -> None:
    """In the same order of people as above."""
    ann = house.client.register()
    people = [ann, house.client.register("Bob"), house.system, staff("operator"), staff("auditor")]
    registered, rated = [], []
    for person in people:
        code = fresh("A").replace("-", "").upper()[:12]
        answer = person.post("/api/currencies", {"code": code, "exponent": 2, "name": "Asset"})
        registered.append(answer.json().get("code", ""))
        house.system.post("/api/accounts", {"currency": code})
        rated.append(person.put(f"/api/rates/INR/{code}", {"rate": 2}).json().get("code", ""))
    assert registered == ["not_operator", "not_operator", "", "", "not_operator"]
    assert rated == ["not_system_user", "not_system_user", "", "not_system_user", "not_system_user"]


@pytest.mark.parametrize("verb", ["activate", "reopen"])
def test_who_may_wake_an_account_depends_on_how_it_came_to_rest(
    house: House, staff: Callable[[str], Person], verb: str
) -> None:
    ann = house.client.register()
    account = ann.open_account()
    path = f"/api/accounts/{account}"
    assert ann.post(f"{path}/deactivate", _REASON).status_code == 200
    assert ann.post(f"{path}/{verb}", _REASON).json()["account"]["status"] == "ACTIVE"
    assert staff("operator").post(f"{path}/freeze", _REASON).status_code == 200
    assert ann.post(f"{path}/{verb}", _REASON).json()["code"] == "not_operator"
    assert staff("operator").post(f"{path}/{verb}", _REASON).json()["account"]["status"] == "ACTIVE"


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
    body = {"fromAccount": first, "toAccount": ann.open_account(), "amount": 1, "everyDays": 1}
    later = body | {"startsAt": "2190-01-01T00:00:00Z", "idempotencyKey": "later"}
    order = f"/api/standing-orders/{ann.post('/api/standing-orders', later).json()['standingOrder']['_id']}"
    person = staff(role)
    assert [person.get(order + beside).status_code for beside in ("", "/runs", "/upcoming")] == [200] * 3
    assert person.post(f"{order}/cancel").json()["code"] == "not_found"
    assert person.get(f"/api/accounts/{first}").json()["account"]["balance"] == 9
    assert person.get(f"/api/transactions/{moved}").status_code == 200
    assert len(person.get(f"/api/accounts/{first}/entries").json()["entries"]) == 2
    assert person.get(f"/api/accounts/{first}/series?from=2026-01-01&to=2026-01-02").status_code == 200
    assert person.get(f"/api/accounts/{first}/balance?knownAt=2999-01-01T00:00:00Z").json()["balance"] == 9
    assert person.get(f"/api/accounts/{first}/balance").status_code == 404
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
