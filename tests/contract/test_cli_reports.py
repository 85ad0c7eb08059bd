"""`nostro period …` and `nostro report …`, beside a running service."""

import json

from tests.contract.conftest import House


def test_a_book_is_closed_listed_and_reopened_by_hand(house: House) -> None:
    house.system.open_account(currency="PLN")
    closed = house.service.command(
        *("period", "close", "pln", "--until", "2026-03-31", "--tz", "Europe/Warsaw", "--reason", "reported"),
        "--json",
    )
    assert closed.returncode == 0, closed.stderr
    assert json.loads(closed.stdout)["closedUntil"] == "2026-03-31T22:00:00+00:00"
    assert "PLN  closed until 2026-03-31T22:00:00+00:00" in house.service.command("period", "list").stdout
    again = house.service.command("period", "close", "PLN", "--until", "2026-03-01", "--reason", "again")
    assert (again.returncode, "period_conflict" in again.stderr) == (1, True)
    opened = house.service.command("period", "reopen", "PLN", "--reason", "forgotten invoice")
    assert (opened.returncode, opened.stdout) == (0, "PLN  open\n")
    assert "PLN" not in house.service.command("period", "list").stdout
    events = house.staff("auditor").get("/api/periods").json()["events"]
    assert [(event["kind"], event["actor"]) for event in events if event["currency"] == "PLN"] == [
        ("PERIOD_REOPENED", None),
        ("PERIOD_CLOSED", None),
    ]


def test_the_trial_balance_is_printed_and_says_whether_the_books_balance(house: House) -> None:
    house.system.open_account(currency="BHD")
    house.funded(1.25, currency="BHD")
    printed = house.service.command("report", "trial-balance")
    assert printed.returncode == 0, printed.stderr
    line = next(line for line in printed.stdout.splitlines() if line.startswith("BHD  CUSTOMER"))
    assert line.split() == ["BHD", "CUSTOMER", "1", "0", "1.25"]
    assert "The books balance at position" in printed.stdout
    past = house.service.command("report", "trial-balance", "--at", "2020-01-01T00:00:00Z", "--json")
    said = json.loads(past.stdout)
    assert (said["balanced"], {one["debits"] for one in said["sums"]}) == (True, {"0"})
    both = house.service.command("report", "trial-balance", "--at", "2020-01-01T00:00:00Z", "--position", "1")
    assert both.returncode == 2
