"""JSON has one kind of number: wherever a whole one is asked for, 7.0 is 7, as `integer` says in a schema."""

import json
from collections.abc import Callable

import httpx2
import pytest

from nostro.api.bodies import whole
from tests.client import Person, fresh
from tests.contract.conftest import House

WRITE = Callable[[str], httpx2.Response]


@pytest.mark.parametrize(
    ("written", "number"),
    [
        *(("7", 7), ("7.0", 7), ("70e-1", 7), ("7E0", 7), ("0.7e+1", 7), ("-0.0", 0), ("0", 0), ("-3", -3)),
        *((str(10**17), 10**17), ("1e17", 10**17), ("7.5", None), ("1e-1", None), ("1e999999999", None)),
        *((written, None) for written in ("", "null", "true", '"7"', "[7]", "{}", "07", "+7", "7.", "1" * 19)),
        *((written, None) for written in ("7." + "0" * 18, "1e400", "NaN", " 7", "７")),
    ],
)
def test_a_whole_number_is_one_however_it_is_written(written: str, number: int | None) -> None:
    assert whole(written.encode()) == number


@pytest.fixture
def places(house: House) -> dict[str, WRITE]:
    """Every place of a body that asks for a whole number, and how to send 1 there."""
    ann, source = house.funded(100)
    target, webhook = ann.open_account(), _webhook(ann)

    def send(person: Person, path: str, place: str, **others: object) -> WRITE:
        def write(number: str) -> httpx2.Response:
            body = json.dumps({"idempotencyKey": fresh(), **others, place: "HERE"}).replace('"HERE"', number)
            method = "PATCH" if place == "hourly" else "POST"
            headers = {"Content-Type": "application/json"}
            return person.client.request(
                method, path, token=person.token, content=body.encode(), headers=headers
            )

        return write

    money = {"fromAccount": source, "toAccount": target, "amount": 1}
    code = "W" + fresh("").replace("-", "").upper()[:8]
    return {
        "hourly": send(house.staff("operator"), f"/api/accounts/{target}/limits", "hourly", reason="agreed"),
        "expiresIn": send(ann, "/api/transactions", "expiresIn", hold=True, **money),
        "ifVersion": send(ann, "/api/transactions", "ifVersion", **money),
        "everyDays": send(ann, "/api/standing-orders", "everyDays", **money),
        "times": send(ann, "/api/standing-orders", "times", everyDays=1, **money),
        "overlapHours": send(ann, f"/api/webhooks/{webhook}/rotate", "overlapHours"),
        "from": send(ann, f"/api/webhooks/{webhook}/replay", "from", to=1),
        "exponent": send(house.system, "/api/currencies", "exponent", code=code, name="Points"),
    }


def _webhook(person: Person) -> str:
    return str(person.post("/api/webhooks", {"url": "https://receiver.example/hook"}).json()["webhook"]["_id"])


@pytest.mark.parametrize(
    "place", ["hourly", "expiresIn", "ifVersion", "everyDays", "times", "overlapHours", "from", "exponent"]
)
def test_every_place_takes_it(places: dict[str, WRITE], place: str) -> None:
    write = places[place]
    as_text = () if place == "hourly" else ('"1"',)  # a limit may be written as text, like any amount
    for number in ("1.5", "-1", "1e400", "true", "[]", "9" * 30, *as_text):
        refused = write(number)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_field"), (number, refused.text)
    taken = write("1.0")
    assert taken.status_code in {200, 201} or taken.json()["code"] == "webhook_not_found", taken.text
