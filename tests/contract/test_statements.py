"""Statements: the lines lead from the opening to the closing balance, in every format."""

import csv
import io
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from nostro.ledger.statement_csv import fixed, harmless
from nostro.ledger.typesetting import grouped
from tests.client import Person
from tests.contract.conftest import House
from tests.contract.past import many, move, treasury
from tests.contract.pdf_text import texts_of
from tests.contract.scenes import NOBODY

MARCH = {"from": "2026-03-01", "to": "2026-03-31"}
NASTY = '=HYPERLINK("http://evil.example","x")'


def _statement(person: Person, account: str, **query: str) -> httpx2.Response:
    return person.get(f"/api/accounts/{account}/statement?{urlencode(query)}")


def _story(house: House, currency: str = "INR") -> tuple[Person, str]:
    """An account with 1,234,567 minor units before March and three lines in it."""
    ann, source = house.client.register("Ann"), treasury(house, currency=currency)
    account = ann.open_account(currency=currency, name="Rent [#set page()]")
    move(house.tables, source, account, 1_234_567, "2026-02-28T23:59:59")
    move(house.tables, account, source, 4_567, "2026-03-01T00:00:00", description=NASTY)
    move(house.tables, source, account, 55, "2026-03-15T00:00:00", effective_at="2026-01-01T10:00:00")
    move(house.tables, account, source, 30_000, "2026-03-31T23:59:59", reference="#let x = 1; *b* \\ $y$ @z")
    move(house.tables, source, account, 1, "2026-04-01T00:00:00")
    return ann, account


def test_a_statement_leads_from_its_opening_to_its_closing(house: House) -> None:
    ann, account = _story(house)
    said = _statement(ann, account, **MARCH).json()
    shown = {name: said[name] for name in ("opening", "in", "out", "closing", "from", "to", "ownerName", "tz")}
    assert shown == {
        "opening": 12345.67,
        "in": 0.55,
        "out": 345.67,
        "closing": 12000.55,
        "from": "2026-03-01T00:00:00.000Z",
        "to": "2026-04-01T00:00:00.000Z",
        "ownerName": "Ann",
        "tz": "UTC",
    }
    assert [line["seq"] for line in said["entries"]] == [2, 3, 4]
    assert said["entries"][-1]["balanceAfter"] == said["closing"]


def _rows(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.parametrize(("currency", "places"), [("INR", 2), ("JPY", 0), ("KWD", 3)])
def test_csv_has_the_balances_around_the_lines_and_the_places_of_the_currency(
    house: House, currency: str, places: int
) -> None:
    ann, account = _story(house, currency)
    answer = _statement(ann, account, format="csv", **MARCH)
    assert answer.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert f"statement-{account}-2026-03-01.csv" in answer.headers["content-disposition"]
    rows = _rows(answer)
    assert [row["kind"] for row in rows] == ["OPENING_BALANCE", *["TRANSFER"] * 3, "CLOSING_BALANCE"]
    assert rows[0]["balance"] == fixed(1_234_567, places)
    assert rows[-1]["balance"] == fixed(1_200_055, places)
    assert [(row["debit"], row["credit"]) for row in rows[1:4]] == [
        (fixed(4_567, places), ""),
        ("", fixed(55, places)),
        (fixed(30_000, places), ""),
    ]
    assert rows[2]["happened"] == "2026-01-01T10:00:00.000+00:00"
    assert rows[1]["description"] == f"'{NASTY}"


def test_a_statement_in_a_time_zone_has_its_days(house: House) -> None:
    ann, account = _story(house)
    rows = _rows(_statement(ann, account, format="csv", tz="America/New_York", **MARCH))
    # In New York the first of April began at four in the morning, and the last of February ended at five.
    assert [row["line"] for row in rows[1:-1]] == ["3", "4", "5"]
    assert rows[1]["recorded"] == "2026-03-14T20:00:00.000-04:00"
    assert rows[0]["recorded"] == "2026-03-01T00:00:00.000-05:00"


def test_a_pdf_shows_the_balances_and_takes_nobodys_text_for_a_command(house: House) -> None:
    ann, account = _story(house)
    answer = _statement(ann, account, format="PDF", **MARCH)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["content-type"], answer.content[:5]) == ("application/pdf", b"%PDF-")
    assert _statement(ann, account, format="pdf", **MARCH).content == answer.content
    shown = "\n".join(texts_of(answer.content))
    for text in ("Opening balance", "12,345.67", "Closing balance", "12,000.55", "300.00", "0.55", "#let"):
        assert text in shown, text


def test_the_accepted_type_chooses_the_format(house: House) -> None:
    ann, account = _story(house)
    path = f"/api/accounts/{account}/statement?{urlencode(MARCH)}"
    for accepted, answered in (
        ("text/csv", "text/csv; charset=utf-8; header=present"),
        ("application/pdf;q=0.9, */*", "application/pdf"),
        ("text/html, */*", "application/json; charset=utf-8"),
        ("", "application/json; charset=utf-8"),
    ):
        assert ann.get(path, headers={"Accept": accepted}).headers["content-type"] == answered
    both = ann.get(f"{path}&format=json", headers={"Accept": "text/csv"})
    assert both.headers["content-type"] == "application/json; charset=utf-8"


def test_a_long_statement_comes_as_csv_alone(house: House) -> None:
    ann, source = house.client.register("Ann"), treasury(house)
    account = ann.open_account()
    house.tables.script(many(source, account, 2100))
    period = {"from": "2026-01-01", "to": "2080-01-01"}
    for form in ("json", "pdf"):
        said = _statement(ann, account, format=form, **period).json()
        assert (said["code"], said["entries"], said["most"]) == ("too_many_entries", 2100, 2000)
    rows = _rows(_statement(ann, account, format="csv", **period))
    assert (len(rows), rows[0]["balance"]) == (2102, "0.00")
    assert rows[-1]["balance"] == rows[-2]["balance"] == fixed(2100 * 2101 // 2, 2)


def test_an_empty_period_carries_the_balance(house: House) -> None:
    ann, account = _story(house)
    said = _statement(ann, account, **{"from": "2026-05-01", "to": "2026-05-31"}).json()
    assert (said["opening"], said["closing"], said["entries"]) == (12000.56, 12000.56, [])
    assert len(_rows(_statement(ann, account, format="csv", **{"from": "2026-05-01", "to": "2026-05-31"}))) == 2


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("from=2026-03-01", "missing_field"),
        ("from=2026-03-02&to=2026-03-01", "invalid_field"),
        ("from=2026-03-01&to=2026-03-31&format=xls", "invalid_field"),
        ("from=2026-03-01&to=2026-03-31&tz=Mars", "invalid_field"),
    ],
)
def test_a_statement_that_is_none_is_refused(house: House, query: str, code: str) -> None:
    ann = house.client.register()
    answer = ann.get(f"/api/accounts/{ann.open_account()}/statement?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_statement_is_its_owners_and_the_auditors(house: House) -> None:
    ann, account = _story(house)
    bob = house.client.register("Bob")
    for person, wanted in ((bob, account), (house.system, account), (ann, NOBODY)):
        assert _statement(person, wanted, **MARCH).json()["code"] == "account_not_found"
    for role in ("operator", "auditor"):
        assert _statement(house.staff(role), account, **MARCH).json()["closing"] == 12000.55


def test_the_command_line_writes_statements(house: House) -> None:
    _, account = _story(house)
    arguments = ("statement", account, "--from", "2026-03-01", "--to", "2026-03-31")
    printed = house.service.command(*arguments)
    assert printed.returncode == 0, printed.stderr
    rows = list(csv.DictReader(io.StringIO(printed.stdout)))
    assert (rows[0]["balance"], rows[-1]["balance"]) == ("12345.67", "12000.55")
    assert house.service.command(*arguments, "--format", "xls").returncode == 2


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1", "＝1", "＠x"])
def test_a_cell_never_begins_as_a_formula(text: str) -> None:
    assert harmless(text) == f"'{text}"


def test_other_cells_are_left_as_they_are() -> None:
    assert [harmless(text) for text in ("Rent", "a=b", "'x", "", None)] == ["Rent", "a=b", "'x", "", ""]


def test_amounts_have_all_their_places() -> None:
    assert [fixed(5, 2), fixed(-5, 2), fixed(0, 3), fixed(-120, 0)] == ["0.05", "-0.05", "0.000", "-120"]
    assert [grouped(-5, 2), grouped(123456789, 2), grouped(-1234, 0)] == ["-0.05", "1,234,567.89", "-1,234"]
