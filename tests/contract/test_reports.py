"""Reports: the books balance at every cut, a cut told again is the same, and late entries of closed
periods show."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House
from tests.contract.past import move, treasury

Staff = Callable[[str], Person]


@pytest.fixture(scope="module")
def house(open_house: Callable[..., House]) -> House:
    """One of its own, in which no other test moves money."""
    return open_house()


def _report(person: Person, name: str, **query: object) -> dict[str, Any]:
    answer = person.get(f"/api/reports/{name}?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def _book(report: dict[str, Any], currency: str) -> dict[str, Any]:
    return next(one for one in report["currencies"] if one["currency"] == currency)


_BRUTE_FORCE = """
SELECT a.settlement, coalesce(sum(b.balance) FILTER (WHERE b.balance > 0), 0)::bigint AS credits,
       coalesce(sum(-b.balance) FILTER (WHERE b.balance < 0), 0)::bigint AS debits
  FROM accounts a
  JOIN (SELECT account_id, sum(CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END) AS balance
          FROM entries WHERE position <= $2 GROUP BY 1) AS b ON b.account_id = a.id
 WHERE a.currency = $1 GROUP BY 1
"""


def test_the_books_balance_at_every_position_and_as_the_entries_say(house: House, staff: Staff) -> None:
    auditor = staff("auditor")
    ann, source = house.client.register("Ann"), treasury(house, currency="TND")
    first, second = ann.open_account(currency="TND"), ann.open_account(currency="TND")
    positions = [house.tables.position()]
    for number, (payer, payee) in enumerate(
        [(source, first), (first, second), (second, first), (first, source)]
    ):
        positions.append(move(house.tables, payer, payee, 1000 - number, f"2026-03-0{number + 1}T00:00:00"))
    for position in positions:
        report = _report(auditor, "trial-balance", position=position)
        assert (report["position"], report["at"], report["balanced"]) == (position, None, True)
        book = _book(report, "TND")
        assert book["difference"] == 0
        expected = {
            "SETTLEMENT" if row["settlement"] else "CUSTOMER": (row["debits"] / 1000, row["credits"] / 1000)
            for row in house.tables.rows(_BRUTE_FORCE, "TND", position)
        }
        kinds = {kind["kind"]: (kind["debits"], kind["credits"]) for kind in book["kinds"]}
        assert kinds == {"SETTLEMENT": (0, 0), "CUSTOMER": (0, 0)} | expected
    by_time = [
        _book(_report(auditor, "trial-balance", at=f"2026-03-0{day}T00:00:00Z"), "TND") for day in range(1, 5)
    ]
    by_position = [_book(_report(auditor, "trial-balance", position=one), "TND") for one in positions[1:]]
    assert by_time == by_position


def test_a_report_names_the_position_at_which_it_is_the_same_for_ever(house: House, staff: Staff) -> None:
    ann, first = house.funded(100)
    told = _report(staff("auditor"), "trial-balance")
    assert told["position"] == house.tables.position()
    ann.send(first, ann.open_account(), 1)
    house.funded(5)
    again = _report(staff("operator"), "trial-balance", position=told["position"])
    assert again == told
    assert _report(staff("auditor"), "trial-balance")["currencies"] != told["currencies"]


def test_balances_by_currency_kind_and_owner_add_up_to_the_same(house: House, staff: Staff) -> None:
    auditor = staff("auditor")
    house.system.open_account(currency="OMR")
    people = [house.funded(amount, currency="OMR")[0] for amount in (1.5, 2.25, 4)]
    position = house.tables.position()
    by = {
        grouping: [
            one
            for one in _report(auditor, "balances", by=grouping, position=position, limit=200)["balances"]
            if one["currency"] == "OMR"
        ]
        for grouping in ("currency", "kind", "owner")
    }
    assert [(one["accounts"], one["debits"], one["credits"], one["balance"]) for one in by["currency"]] == [
        (4, 7.75, 7.75, 0)
    ]
    assert {one["kind"]: (one["debits"], one["credits"]) for one in by["kind"]} == {
        "CUSTOMER": (0, 7.75),
        "SETTLEMENT": (7.75, 0),
    }
    owners = {one["owner"]: one["balance"] for one in by["owner"]}
    assert {person.id: owners[person.id] for person in people} == dict(
        zip((person.id for person in people), (1.5, 2.25, 4), strict=True)
    )


def test_owners_come_in_pages_that_are_all_cut_at_one_position(house: House, staff: Staff) -> None:
    auditor = staff("auditor")
    ann, first = house.funded(50)
    bob, second = house.funded(0.5, "Bob")
    page = _report(auditor, "balances", by="owner", limit=3)
    seen = page["balances"]
    while page["more"]:
        assert ann.send(first, second, 1).status_code == 201
        page = _report(auditor, "balances", cursor=page["nextCursor"], limit=3)
        seen += page["balances"]
    mine = {one["owner"]: (one["balance"], one["ownerName"]) for one in seen if one["currency"] == "INR"}
    assert (mine[ann.id], mine[bob.id]) == ((50, "Ann"), (0.5, "Bob"))
    owners = [one["owner"] for one in seen if one["currency"] == "INR"]
    assert len(owners) == len(set(owners))


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("position=999999999999", "unknown_position"),
        ("position=x", "invalid_field"),
        ("position=-1", "invalid_field"),
        ("position=" + "9" * 40, "invalid_field"),
        ("position=1&at=2026-01-01T00:00:00Z", "invalid_field"),
        ("at=2026-01-01", "invalid_field"),
        ("at=now", "invalid_field"),
    ],
)
def test_a_cut_that_is_none_is_refused(house: House, staff: Staff, query: str, code: str) -> None:
    for name in ("trial-balance", "balances"):
        answer = staff("auditor").get(f"/api/reports/{name}?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_moment_to_come_is_now(house: House, staff: Staff) -> None:
    house.funded(1)
    later = _report(staff("auditor"), "trial-balance", at="2999-01-01T00:00:00Z")
    assert later["at"] < "2999"
    assert later["currencies"] == _report(staff("auditor"), "trial-balance")["currencies"]


def test_reports_are_for_operators_and_auditors(house: House, staff: Staff) -> None:
    ann = house.client.register()
    paths = ("trial-balance", "balances?by=owner", "restatements?currency=INR&until=2026-01-01")
    for path in paths:
        for person in (ann, house.system):
            answer = person.get(f"/api/reports/{path}")
            assert (answer.status_code, answer.json()["code"]) == (403, "not_auditor")
        assert house.client.request("GET", f"/api/reports/{path}").status_code == 401
        for role in ("operator", "auditor"):
            assert staff(role).get(f"/api/reports/{path}").status_code in {200, 404}


def _close(staff: Staff, currency: str, until: str) -> None:
    body = {"currency": currency, "until": until, "reason": "reported"}
    assert staff("operator").post("/api/periods/close", body).status_code == 200


def test_what_was_recorded_into_a_closed_period_is_told_with_the_closing(house: House, staff: Staff) -> None:
    house.system.open_account(currency="HUF")
    ann, first = house.funded(100, currency="HUF")

    def late(effective_at: str, amount: int, **terms: object) -> dict[str, Any]:
        body = {"toAccount": first, "amount": amount, "idempotencyKey": fresh(), "effectiveAt": effective_at}
        answer = house.system.post("/api/transactions/system/initial-funds", body | terms)
        assert answer.status_code == 201, answer.text
        moved: dict[str, Any] = answer.json()["transaction"]
        return moved

    late("2026-03-10T00:00:00Z", 1)  # before the closing: part of what was reported
    _close(staff, "HUF", "2026-03-31")
    one = late("2026-03-31T23:59:59.999Z", 2, restate=True, description="Forgotten fee")
    late("2026-04-01T00:00:00Z", 3)  # not in the period
    two = late("2026-01-05T00:00:00Z", 4, restate=True)
    ann.send(first, ann.open_account(currency="HUF"), 1)

    report = _report(staff("auditor"), "restatements", currency="huf", until="2026-03-31")
    assert (report["until"], report["closing"]["reason"]) == ("2026-04-01T00:00:00.000Z", "reported")
    mine = [entry for entry in report["entries"] if entry["accountId"] == first]
    assert [(entry["transactionId"], entry["change"], entry["description"]) for entry in mine] == [
        (one["_id"], 2, "Forgotten fee"),
        (two["_id"], 4, None),
    ]
    assert sum(entry["change"] for entry in report["entries"]) == 0
    until, closed_at = "2026-03-31T23:59:59.999Z", report["closing"]["createdAt"]
    assert _at(ann, first, effectiveAt=until, knownAt=closed_at) == 1
    assert _at(ann, first, effectiveAt=until) == 1 + 2 + 4

    pages, page = [], _report(staff("auditor"), "restatements", currency="HUF", until="2026-03-31", limit=1)
    while True:
        pages.append(page["entries"])
        if not page["more"]:
            break
        page = _report(staff("auditor"), "restatements", cursor=page["nextCursor"], limit=1)
    assert [entry for entries in pages for entry in entries] == report["entries"]

    early = _report(staff("auditor"), "restatements", currency="HUF", until="2026-01-31")
    assert {entry["transactionId"] for entry in early["entries"]} == {two["_id"]}


def _at(person: Person, account: str, **at: str) -> float:
    answer = person.get(f"/api/accounts/{account}/balance?{urlencode(at)}")
    assert answer.status_code == 200, answer.text
    return float(answer.json()["balance"])


def test_a_book_that_was_never_closed_as_far_has_no_restatements(house: House, staff: Staff) -> None:
    house.system.open_account(currency="CZK")
    for until in ("2026-03-31", "2999-01-01"):
        answer = staff("auditor").get(f"/api/reports/restatements?currency=CZK&until={until}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    answer = staff("auditor").get("/api/reports/restatements?currency=CZK")
    assert answer.json()["code"] == "missing_field"
