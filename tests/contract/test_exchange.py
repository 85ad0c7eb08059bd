"""Exchange over HTTP: two balanced halves, the rate on record, and no 1:1 by surprise."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House


@pytest.fixture(scope="module")
def house(open_house: Callable[..., House]) -> House:
    """One of its own, whose settlement accounts, rates and books no other test touches."""
    return open_house()


@pytest.fixture(scope="module")
def rates(house: House) -> None:
    """The system user gives dollars and yen for rupees."""
    for currency in ("USD", "JPY"):
        house.system.open_account(currency=currency)
    maker = f"'\\x{house.system.id}'"
    house.tables.script(
        "INSERT INTO rates (base, quote, rate, maker, updated_at) VALUES "
        f"('INR', 'USD', 0.0119, {maker}, now()), ('INR', 'JPY', 1.75, {maker}, now()),"
        f"('USD', 'INR', 84, {maker}, now()) ON CONFLICT (base, quote) DO NOTHING"
    )


def exchange(person: Person, source: str, target: str, amount: object, **more: Any) -> dict[str, Any]:
    body = {"fromAccount": source, "toAccount": target, "amount": amount, "idempotencyKey": fresh(), **more}
    answer = person.post("/api/transactions/exchange", body)
    said: dict[str, Any] = answer.json() | {"answered": answer.status_code}
    return said


@pytest.mark.usefixtures("rates")
@pytest.mark.parametrize(
    ("currency", "amount", "arrives"), [("USD", "1000", 11.90), ("USD", "0.99", 0.01), ("JPY", "10.99", 19)]
)
def test_what_arrives_is_rounded_down(house: House, currency: str, amount: str, arrives: float) -> None:
    ann, account = house.funded(1000)
    target = ann.open_account(currency=currency)
    said = exchange(ann, account, target, amount)
    moved = said["transaction"]
    assert (said["answered"], moved["kind"], moved["counterAmount"]) == (201, "EXCHANGE", arrives)
    assert (moved["counterCurrency"], len(moved["legs"])) == (currency, 2)
    assert moved["rate"] == {"USD": 0.0119, "JPY": 1.75}[currency]
    assert ann.balance(target) == arrives
    assert ann.balance(account) == pytest.approx(1000 - float(amount))
    assert ann.get(f"/api/transactions/{moved['_id']}").json()["transaction"]["rate"] == moved["rate"]


@pytest.mark.usefixtures("rates")
def test_refusals_of_an_exchange(house: House) -> None:
    ann, account = house.funded(1000)
    dollars, euros = ann.open_account(currency="USD"), ann.open_account(currency="EUR")
    assert exchange(ann, account, ann.open_account(), 1)["code"] == "currency_mismatch"
    assert exchange(ann, account, euros, 1)["code"] == "rate_not_found"
    assert exchange(ann, account, dollars, "0.01")["code"] == "invalid_amount"
    changed = exchange(ann, account, dollars, 100, rate="0.0120")
    assert (changed["answered"], changed["code"], changed["rate"]) == (409, "rate_changed", "0.0119")
    assert exchange(ann, account, dollars, 100, rate=0.0119)["answered"] == 201
    assert exchange(ann, account, dollars, 1000)["code"] == "insufficient_funds"
    assert exchange(ann, account, dollars, 100, hold=True)["code"] == "invalid_field"
    assert ann.send(account, dollars, 1).json()["code"] == "currency_mismatch"


@pytest.mark.usefixtures("rates")
def test_an_exchange_flows_back_at_its_own_rate(house: House) -> None:
    ann, account = house.funded(1000)
    dollars = ann.open_account(currency="USD")
    moved = exchange(ann, account, dollars, 1000)["transaction"]["_id"]
    for amount in ("333.33", "333.33", "333.34"):
        back = house.client.request(
            "POST", f"/api/transactions/{moved}/reverse", {"amount": amount}, token=_operator(house).token
        )
        assert back.status_code == 201, back.text
    assert (ann.balance(account), ann.balance(dollars)) == (1000, 0)


def _operator(house: House) -> Person:
    email = f"{fresh('operator')}@example.com"
    house.service.command(
        "user", "create", "--email", email, "--name", "Op", "--password", "a long secret", "--operator"
    )
    return house.client.log_in(email, "a long secret")
