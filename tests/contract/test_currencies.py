"""Currencies of ISO 4217 and assets registered here; the settlement accounts and the rates between them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House


@pytest.fixture(scope="module")
def house(open_house: Callable[..., House]) -> House:
    """One of its own, whose settlement accounts, rates and books no other test touches."""
    return open_house()


def _code() -> str:
    return f"A{fresh('x').replace('-', '').upper()}"[:12]


def _register(person: Person, **changes: object) -> Any:
    return person.post("/api/currencies", {"code": _code(), "exponent": 6, "name": "Asset"} | changes)


def _asset(house: House, exponent: int) -> str:
    return str(_register(house.system, exponent=exponent).json()["currency"]["code"])


def test_currencies_are_those_of_iso_4217_and_those_registered_here(house: House) -> None:
    code = _asset(house, 9)
    listed = {one["code"]: one for one in house.client.register().get("/api/currencies").json()["currencies"]}
    assert listed[code] == {"code": code, "exponent": 9, "name": "Asset", "custom": True}
    assert listed["KWD"] == {"code": "KWD", "exponent": 3, "name": "Kuwaiti Dinar", "custom": False}
    assert (listed["JPY"]["exponent"], listed["CLF"]["exponent"]) == (0, 4)
    assert "XAU" not in listed
    assert list(listed) == sorted(listed)


@pytest.mark.parametrize("exponent", [0, 12])
def test_accounts_in_an_asset_move_it_exactly(house: House, exponent: int) -> None:
    code = _asset(house, exponent)
    least = "1" if exponent == 0 else "0.000000000001"
    ann = house.client.register()
    source, target = ann.open_account(currency=code.lower()), ann.open_account(currency=code)
    assert house.system.fund(source, 3).json()["code"] == "system_account_not_found"
    assert house.system.post("/api/accounts", {"currency": code}).json()["account"]["systemAccount"] is True
    assert house.system.fund(source, 3).status_code == 201
    answer = ann.send(source, target, least)
    assert f'"amount":{least},"currency":"{code}"' in answer.text
    assert f'"balance":{least}' in ann.get(f"/api/accounts/balance/{target}").text
    refused = ann.send(source, target, 4)
    assert (refused.status_code, refused.json()["code"]) == (400, "insufficient_funds")
    assert (refused.json()["required"], refused.json()["currency"]) == (4, code)
    too_fine = ann.send(source, target, f"0.{'0' * exponent}1")
    assert too_fine.json()["code"] == "invalid_amount"


def test_an_asset_never_changes(house: House) -> None:
    code = _asset(house, 2)
    before = house.tables.position()
    for exponent in (2, 3):
        answer = _register(house.system, code=f" {code.lower()} ", exponent=exponent)
        assert (answer.status_code, answer.json()["code"]) == (409, "currency_taken")
    assert house.tables.position() == before


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        *(
            ({"code": code}, "code")
            for code in ("AB", "A" * 13, "1AB", "A-B", "É123", "USD", "usd", "XAU", "NULL")
        ),
        *(({"exponent": exponent}, "exponent") for exponent in (-1, 13, 1.5, "2", True, None)),
        *(({"name": name}, "name") for name in ("x" * 201, "two\nlines", 5)),
    ],
    ids=str,
)
def test_an_asset_that_cannot_be_is_refused(house: House, wrong: dict[str, object], field: str) -> None:
    before = house.tables.position()
    answer = _register(house.system, **wrong)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "invalid_field", field)
    assert house.tables.position() == before


def test_a_registration_is_an_event(house: House) -> None:
    code = _asset(house, 4)
    event = house.tables.rows("SELECT * FROM events WHERE kind = 'CURRENCY_REGISTERED' ORDER BY position DESC")[
        0
    ]
    assert event["actor"] == bytes.fromhex(house.system.id)
    assert json.loads(event["details"]) == {"code": code, "exponent": 4, "name": "Asset"}


def test_a_system_user_has_one_settlement_account_per_currency(house: House) -> None:
    code = _asset(house, 2)
    assert house.system.post("/api/accounts", {"currency": code}).status_code == 201
    again = house.system.post("/api/accounts", {"currency": code})
    assert (again.status_code, again.json()["code"]) == (409, "status_conflict")


# ── rates ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pair(house: House) -> str:
    """A path to the rate of two assets in which the system user has settlement accounts."""
    codes = [_asset(house, 2), _asset(house, 2)]
    for code in codes:
        assert house.system.post("/api/accounts", {"currency": code}).status_code == 201
    return f"/api/rates/{codes[0]}/{codes[1]}"


def _rates(house: House, pair: str) -> list[Any]:
    base = pair.split("/")[3]
    return house.tables.rows(
        "SELECT * FROM events WHERE kind = 'RATE_CHANGED' AND details->>'base' = $1 ORDER BY position", base
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [("83.10", "83.1"), ("0.000000000001", "0.000000000001"), (5, "5"), (999_999_999_999, "999999999999")],
)
def test_a_rate_is_taken_and_told_exactly(house: House, pair: str, given: object, shown: str) -> None:
    ann = house.client.register()
    assert ann.get(pair).status_code == 404
    assert house.system.put(pair.lower(), {"rate": given}).status_code == 200
    assert f'"rate":{shown},' in ann.get(pair).text
    assert any(
        f"/api/rates/{one['base']}/{one['quote']}" == pair for one in ann.get("/api/rates").json()["rates"]
    )
    base, quote = pair.split("/")[3:]
    assert ann.get(f"/api/rates/{quote}/{base}").status_code == 404


def test_every_change_of_a_rate_is_an_event(house: House, pair: str) -> None:
    for rate in ("2", "2.50", "2.5", "0.4"):
        assert house.system.put(pair, {"rate": rate}).status_code == 200
    told = [json.loads(event["details"]) for event in _rates(house, pair)]
    assert [(one["before"], one["after"]) for one in told] == [(None, "2"), ("2", "2.5"), ("2.5", "0.4")]
    assert {event["actor"] for event in _rates(house, pair)} == {bytes.fromhex(house.system.id)}


@pytest.mark.parametrize(
    "rate", [0, "0.0", -1, "1e2", "1.0000000000001", "1000000000000", True, [], "x", "+1", " 1", "１"]
)
def test_a_rate_that_cannot_be_is_refused(house: House, pair: str, rate: object) -> None:
    answer = house.system.put(pair, {"rate": rate})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_field")
    assert house.client.register().get(pair).status_code == 404


@pytest.mark.parametrize("body", [None, {}, {"rate": None}])
def test_a_rate_is_required(house: House, pair: str, body: object) -> None:
    answer = house.system.put(pair, body)
    assert (answer.status_code, answer.json()["fields"]) == (400, ["rate"])


def test_a_pair_is_of_two_currencies_that_the_maker_can_pay_in(house: House, pair: str) -> None:
    base = pair.split("/")[3]
    for path, code in (
        (f"/api/rates/{base}/{base}", "invalid_field"),
        (f"/api/rates/{base}/ZZZ", "unknown_currency"),
        (f"/api/rates/{base}/BHD", "system_account_not_found"),
    ):
        assert house.system.put(path, {"rate": 1}).json()["code"] == code


def test_a_pair_belongs_to_the_system_user_who_set_it_first(house: House, pair: str) -> None:
    assert house.system.put(pair, {"rate": 2}).status_code == 200
    email = f"{fresh('system')}@example.com"
    made = house.service.command(
        *("user", "create", "--email", email, "--name", "Other", "--password", "a long secret", "--system")
    )
    assert made.returncode == 0
    other = house.client.log_in(email, "a long secret")
    for code in pair.split("/")[3:]:
        other.open_account(currency=code)
    answer = other.put(pair, {"rate": 3})
    assert (answer.status_code, answer.json()["code"]) == (409, "rate_taken")
    assert other.get(pair).json()["rate"]["rate"] == 2
