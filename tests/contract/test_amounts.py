"""The acceptance table of amounts over HTTP, as raw bytes, for currencies with two, no and three places."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import httpx2
import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House

MOST = {"INR": "10000000000000", "JPY": "1000000000000000", "KWD": "1000000000000"}

# currency, the amount as it stands in the JSON, the amount as it comes back
ACCEPTED = [
    ("INR", "1", "1"),
    ("INR", "10", "10"),
    ("INR", "10.5", "10.5"),
    ("INR", "10.50", "10.5"),
    ("INR", "10.500000", "10.5"),
    ("INR", "0.01", "0.01"),
    ("INR", "0.1", "0.1"),
    ("INR", "160.30", "160.3"),
    ("INR", "1.10", "1.1"),
    ("INR", "4.35", "4.35"),
    ("INR", "1000000.01", "1000000.01"),
    ("INR", "9999999999999.99", "9999999999999.99"),
    ("INR", MOST["INR"], MOST["INR"]),
    ("INR", '"1"', "1"),
    ("INR", '"10.50"', "10.5"),
    ("INR", '"0.01"', "0.01"),
    ("INR", '"9999999999999.99"', "9999999999999.99"),
    ("INR", '"\\u0031\\u0030"', "10"),
    ("JPY", "1", "1"),
    ("JPY", "100.0", "100"),
    ("JPY", '"100"', "100"),
    ("JPY", '"100.00"', "100"),
    ("JPY", "9007199254740993"[:15], "900719925474099"),
    ("JPY", MOST["JPY"], MOST["JPY"]),
    ("KWD", "0.001", "0.001"),
    ("KWD", "1.234", "1.234"),
    ("KWD", '"1.230"', "1.23"),
    ("KWD", "999999999999.999", "999999999999.999"),
    ("KWD", MOST["KWD"], MOST["KWD"]),
]

REFUSED = [
    *[
        ("INR", amount)
        for amount in (
            *("0", "0.0", "0.00", "-0", "-0.0", "-1", "-0.01", "-100"),
            *("1e2", "1E2", "1e0", "1e-2", "1e400", "-1e400", "1.5e1", "1e+2"),
            *("0.001", "1.005", "10.123", "0.1000000001", "160.29999999999998", "1e-9"),
            *("10000000000000.01", "9007199254740993", "9223372036854775807", "9223372036854775808"),
            *("18446744073709551616", "9" * 400, "1" * 5000, "1." + "1" * 5000, "1." + "0" * 5000),
            *("true", "false", "null", "[]", "{}", "[1]", '{"$gt":0}', '{"amount":1}', '["1"]'),
            *('"0"', '"0.00"', '"-1"', '"-0"', '"+1"', '" 1"', '"1 "', '" "', '"\\t1"', '"1\\n"'),
            *('"1e2"', '"1E2"', '"1e400"', '"NaN"', '"Infinity"', '"-Infinity"', '"inf"', '"nan"'),
            *('"1_000"', '"1,000"', '"1,5"', '"1 000"', '"１２"', '"१२"', '"١٢"', '"²"', '"½"'),
            *('"0x10"', '"0b1"', '"0o7"', '"010"', '"00"', '".5"', '"5."', '"."', '"1.2.3"', '"1..2"'),
            *('"null"', '"true"', '"ten"', '"$1"', '"1 INR"', '"1%"', '"1/2"', '"--1"', '"−1"'),
            *('"1\\u0000"', '"\\u0000"', '"1\\u200b"', '"\\ufeff1"', '"1;DROP TABLE entries"'),
            *('"0.001"', '"10000000000000.01"', f'"{"9" * 5000}"', f'"1.{"0" * 5000}"'),
        )
    ],
    *[("JPY", amount) for amount in ("0.5", "1.01", '"0.5"', "1000000000000001", '"100.10"')],
    *[("KWD", amount) for amount in ("0.0001", '"1.2345"', "1000000000000.001")],
]

NOT_JSON = [
    *("NaN", "Infinity", "-Infinity", "+1", ".5", "5.", "01", "00", "1_000", "0x10", "1,000", "１２"),
    *("1.e2", "--1", "-", "$1", "1 2", "nan", "undefined", "'1'", "1e", "True", "None", ""),
]


@dataclass(frozen=True)
class Pair:
    """One person's two accounts in one currency, the first with more in it than the table will move."""

    person: Person
    source: str
    target: str


@pytest.fixture(scope="module")
def pair_in(house: House) -> Callable[[str], Pair]:
    pairs: dict[str, Pair] = {}

    def find(currency: str) -> Pair:
        if currency not in pairs:
            house.system.post("/api/accounts", {"currency": currency})
            person, source = house.funded(MOST[currency], currency=currency)
            for _ in range(3):
                house.system.fund(source, MOST[currency])
            pairs[currency] = Pair(person, source, person.open_account(currency=currency))
        return pairs[currency]

    return find


def send_raw(pair: Pair, amount: str) -> httpx2.Response:
    body = (
        f'{{"fromAccount":"{pair.source}","toAccount":"{pair.target}","amount":{amount},'
        f'"idempotencyKey":"{fresh()}"}}'
    )
    return pair.person.post(
        "/api/transactions", content=body.encode(), headers={"Content-Type": "application/json"}
    )


@pytest.mark.parametrize(("currency", "written", "shown"), ACCEPTED)
def test_an_amount_is_accepted_and_comes_back_as_exactly_this_number(
    pair_in: Callable[[str], Pair], currency: str, written: str, shown: str
) -> None:
    answer = send_raw(pair_in(currency), written)
    assert answer.status_code == 201, answer.text
    assert re.findall(r'"amount":([^,}]+)', answer.text) == [shown]


@pytest.mark.parametrize(("currency", "written"), REFUSED, ids=[f"{c} {a[:40]!a}" for c, a in REFUSED])
def test_an_amount_is_refused_and_nothing_is_stored(
    house: House, pair_in: Callable[[str], Pair], currency: str, written: str
) -> None:
    pair = pair_in(currency)
    before = house.tables.position()
    answer = send_raw(pair, written)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_amount"), answer.text
    assert house.tables.position() == before


@pytest.mark.parametrize("written", NOT_JSON)
def test_what_is_no_json_is_refused_as_such(house: House, pair_in: Callable[[str], Pair], written: str) -> None:
    pair = pair_in("INR")
    before = house.tables.position()
    answer = send_raw(pair, written)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json"), answer.text
    assert house.tables.position() == before


def test_an_absent_amount_and_an_empty_text_are_missing(house: House, pair_in: Callable[[str], Pair]) -> None:
    pair = pair_in("INR")
    before = house.tables.position()
    assert send_raw(pair, '""').json()["code"] == "missing_field"
    body = {"fromAccount": pair.source, "toAccount": pair.target, "idempotencyKey": fresh()}
    assert pair.person.post("/api/transactions", body).json()["code"] == "missing_field"
    assert house.tables.position() == before


def test_ten_dimes_are_exactly_one(house: House) -> None:
    person, account = house.funded("1.6")
    other = person.open_account()
    for _ in range(10):
        assert person.send(account, other, 0.1).status_code == 201
    shown = person.get(f"/api/accounts/balance/{account}").text
    assert '"balance":0.6,' in shown
    assert '"balance":1,' in person.get(f"/api/accounts/balance/{other}").text


def test_balances_beyond_what_a_float_can_tell_are_written_exactly(house: House) -> None:
    person, account = house.funded("9999999999999.99")
    for _ in range(12):
        assert house.system.fund(account, "9999999999999.99").status_code == 201
    assert '"balance":129999999999999.87,' in person.get(f"/api/accounts/balance/{account}").text
