"""Closing and reopening the book of a currency. Each test has a currency of its own."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House

Staff = Callable[[str], Person]


@pytest.fixture(scope="module")
def house(open_house: Callable[..., House]) -> House:
    """One of its own: a closed book is everybody's."""
    return open_house()


def _funded(house: House, currency: str) -> tuple[Person, str, str]:
    """Ann with two accounts in the currency, 100 in the first."""
    house.system.open_account(currency=currency)
    ann, first = house.funded(100, currency=currency)
    return ann, first, ann.open_account(currency=currency)


def _change(person: Person, verb: str, currency: str, until: str | None, **fields: str) -> httpx2.Response:
    return person.post(
        f"/api/periods/{verb}", {"currency": currency, "until": until, "reason": "to see", **fields}
    )


def _send(person: Person, source: str, target: str, effective_at: str) -> httpx2.Response:
    body = {"fromAccount": source, "toAccount": target, "amount": 1, "idempotencyKey": fresh()}
    return person.post("/api/transactions", body | {"effectiveAt": effective_at})


def test_a_closed_book_takes_nothing_that_happened_before_and_reopened_it_does(
    house: House, staff: Staff
) -> None:
    ann, first, second = _funded(house, "SEK")
    olga = staff("operator")
    closed = _change(olga, "close", "sek", "2026-03-31").json()
    assert closed["period"]["closedUntil"] == "2026-04-01T00:00:00.000Z"
    refused = _send(ann, first, second, "2026-03-31T23:59:59.999Z").json()
    assert (refused["code"], refused["closedUntil"]) == ("period_closed", "2026-04-01T00:00:00.000Z")
    assert _send(ann, first, second, "2026-04-01T00:00:00Z").status_code == 201
    assert ann.send(first, second, 1).status_code == 201

    back = _change(olga, "reopen", "SEK", "2026-02-28").json()
    assert back["period"]["closedUntil"] == "2026-03-01T00:00:00.000Z"
    assert _send(ann, first, second, "2026-03-31T23:59:59.999Z").status_code == 201
    assert _send(ann, first, second, "2026-02-28T23:59:59Z").json()["code"] == "period_closed"

    assert _change(olga, "reopen", "SEK", None).json()["period"] == {
        "currency": "SEK",
        "closedUntil": None,
        "closedAt": None,
    }
    assert _send(ann, first, second, "1999-01-01T00:00:00Z").status_code == 201


def test_the_journal_tells_who_closed_and_reopened_what_and_why(house: House, staff: Staff) -> None:
    _funded(house, "NOK")
    olga = staff("operator")
    _change(olga, "close", "NOK", "2026-03-31T10:00:00Z")
    _change(olga, "reopen", "NOK", None)
    _change(olga, "close", "NOK", "2026-05-31", tz="Europe/Oslo")
    said = staff("auditor").get("/api/periods").json()
    assert [period["closedUntil"] for period in said["periods"] if period["currency"] == "NOK"] == [
        "2026-05-31T22:00:00.000Z"
    ]
    events: list[dict[str, Any]] = [event for event in said["events"] if event["currency"] == "NOK"]
    assert [(event["kind"], event["before"], event["after"]) for event in events] == [
        ("PERIOD_CLOSED", None, "2026-05-31T22:00:00.000Z"),
        ("PERIOD_REOPENED", "2026-03-31T10:00:00.000Z", None),
        ("PERIOD_CLOSED", None, "2026-03-31T10:00:00.000Z"),
    ]
    assert {(event["actor"], event["actorName"], event["reason"]) for event in events} == {
        (olga.id, "operator", "to see")
    }
    page = staff("auditor").get("/api/periods?limit=1&skip=1").json()["events"]
    assert [event["position"] for event in page] == [events[1]["position"]]


def test_a_book_is_closed_only_forwards_and_reopened_only_backwards(house: House, staff: Staff) -> None:
    _funded(house, "DKK")
    olga = staff("operator")
    assert _change(olga, "reopen", "DKK", None).json()["code"] == "period_conflict"
    assert _change(olga, "close", "DKK", "2026-03-31").status_code == 200
    for verb, until in (("close", "2026-03-31"), ("close", "2026-01-31"), ("reopen", "2026-03-31")):
        said = _change(olga, verb, "DKK", until).json()
        assert (said["code"], said["closedUntil"]) == ("period_conflict", "2026-04-01T00:00:00.000Z"), verb
    assert _change(olga, "close", "DKK", "2026-04-30").status_code == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"until": "2999-01-01"}, "invalid_field"),
        ({"until": "soon"}, "invalid_field"),
        ({"until": 5}, "invalid_field"),
        ({"until": None}, "missing_field"),
        ({"reason": " "}, "invalid_field"),
        ({"reason": None}, "missing_field"),
        ({"currency": "XAF"}, "unknown_currency"),
        ({"currency": "rupees"}, "unknown_currency"),
        ({"tz": "Mars"}, "invalid_field"),
    ],
)
def test_a_closing_that_makes_no_sense_is_refused(
    house: House, staff: Staff, changes: dict[str, Any], code: str
) -> None:
    before = house.tables.position()
    body = {"currency": "INR", "until": "1999-12-31", "reason": "to see"} | changes
    answer = staff("operator").post("/api/periods/close", body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert house.tables.position() == before


def test_only_what_is_over_can_be_closed(house: House, staff: Staff) -> None:
    """What was decided a moment ago may not be in the journal yet."""
    now = house.tables.value('SELECT to_char(clock_timestamp(), \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')')
    assert _change(staff("operator"), "close", "INR", now).json()["code"] == "invalid_field"


def test_operators_close_auditors_look_and_others_neither(house: House, staff: Staff) -> None:
    ann = house.client.register()
    for person in (ann, house.system, staff("auditor")):
        for verb in ("close", "reopen"):
            answer = _change(person, verb, "INR", "1999-12-31")
            assert (answer.status_code, answer.json()["code"]) == (403, "not_operator")
    for person in (ann, house.system):
        assert person.get("/api/periods").json()["code"] == "not_auditor"


def test_an_exchange_of_the_past_needs_both_books_open(house: House, staff: Staff) -> None:
    ann, first, _ = _funded(house, "CHF")
    house.system.open_account(currency="GBP")
    house.tables.script(
        "INSERT INTO rates (base, quote, rate, maker, updated_at) "
        f"VALUES ('CHF', 'GBP', 0.9, '\\x{house.system.id}', now()) ON CONFLICT DO NOTHING"
    )
    _change(staff("operator"), "close", "GBP", "2026-03-31")
    pair = {"fromAccount": first, "toAccount": ann.open_account(currency="GBP"), "amount": 1}
    for effective_at, status in (("2026-03-31T23:59:59Z", 400), ("2026-04-01T00:00:00Z", 201)):
        body = pair | {"idempotencyKey": fresh(), "effectiveAt": effective_at}
        answer = ann.post("/api/transactions/exchange", body)
        assert answer.status_code == status, answer.text
