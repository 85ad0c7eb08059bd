"""An account's history over HTTP: every entry once, whatever is recorded meanwhile and whatever is kept."""

import itertools
import json
from collections.abc import Iterator
from datetime import date
from typing import Any
from urllib.parse import urlencode

import pytest

from nostro.domain.errors import TooManyEntries
from nostro.domain.money import Currency
from nostro.ledger import history
from nostro.ledger.calendar import Step, period_of, zone_of
from nostro.ledger.service import Ledger
from tests.client import Person
from tests.contract.conftest import House
from tests.contract.past import many, move, treasury
from tests.contract.scenes import NOBODY

Story = tuple[Person, str, Person, str]


@pytest.fixture
def story(house: House) -> Story:
    """Ann's account and Bob's, each with ten rupees from outside and nineteen movements in March 2026."""
    ann, bob = house.client.register("Ann"), house.client.register("Bob")
    first, second, source = ann.open_account(), bob.open_account(), treasury(house)
    for account in (first, second):
        move(house.tables, source, account, 1000, "2026-03-01T12:00:00")
    for number in range(2, 21):
        source, target = (first, second) if number % 2 == 0 else (second, first)
        move(
            house.tables,
            *(source, target, number),
            f"2026-03-{number:02d}T12:00:00",
            description=f"Number {number} of 100%" if number % 5 == 0 else None,
            reference=f"R{number % 3}",
            metadata=json.dumps({"nth": number, "odd": number % 2 == 1}),
        )
    return ann, first, bob, second


def _page(person: Person, account: str, **query: object) -> dict[str, Any]:
    answer = person.get(f"/api/accounts/{account}/entries?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def _all(person: Person, account: str, **query: object) -> Iterator[dict[str, Any]]:
    """Every entry, turning pages by the cursor alone."""
    page = _page(person, account, **query)
    limit = query.get("limit", 50)
    for _ in range(500):
        assert len(page["entries"]) <= int(str(limit))
        yield from page["entries"]
        assert page["more"] == (page["nextCursor"] is not None)
        if not page["more"]:
            return
        page = _page(person, account, limit=limit, cursor=page["nextCursor"])
    raise AssertionError("the pages have no end")


def _seqs(entries: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> list[int]:
    return [entry["seq"] for entry in entries]


def test_a_line_tells_what_moved_who_stood_opposite_and_the_balance_after_it(story: Story) -> None:
    ann, first, _, second = story
    line = _page(ann, first, limit=1)["entries"][0]
    assert line["balanceAfter"] == 9.89
    assert line.pop("transactionId") == ann.get("/api/transactions?limit=1").json()["transactions"][0]["_id"]
    assert line | {"position": 0, "balanceAfter": 0} == {
        "seq": 20,
        "position": 0,
        "kind": "TRANSFER",
        "status": "COMPLETED",
        "direction": "DEBIT",
        "amount": 0.2,
        "balanceAfter": 0,
        "currency": "INR",
        "counterpartyAccountId": second,
        "counterpartyUserName": "Bob",
        "description": "Number 20 of 100%",
        "reference": "R2",
        "metadata": {"nth": 20, "odd": False},
        "createdAt": "2026-03-20T12:00:00.000Z",
        "effectiveAt": "2026-03-20T12:00:00.000Z",
    }


def test_the_running_balance_follows_from_line_to_line(story: Story) -> None:
    ann, first, *_ = story
    before = 0
    for line in _all(ann, first, order="asc", limit=7):
        before += round(line["amount"] * 100) * (1 if line["direction"] == "CREDIT" else -1)
        assert round(line["balanceAfter"] * 100) == before


@pytest.mark.parametrize("limit", [1, 3, 19, 20, 21, 200])
def test_pages_are_all_entries_once_in_both_orders(story: Story, limit: int) -> None:
    ann, first, *_ = story
    assert _seqs(_all(ann, first, limit=limit)) == list(range(20, 0, -1))
    assert _seqs(_all(ann, first, limit=limit, order="asc")) == list(range(1, 21))


def test_pages_can_be_turned_back(story: Story) -> None:
    ann, first, *_ = story
    one = _page(ann, first, limit=6)
    two = _page(ann, first, limit=6, cursor=one["nextCursor"])
    back = _page(ann, first, limit=6, cursor=two["previousCursor"])
    assert _seqs(two["entries"]) == list(range(14, 8, -1))
    assert back["entries"] == one["entries"]
    assert _page(ann, first, limit=6, cursor=back["nextCursor"])["entries"] == two["entries"]


def test_no_entry_is_skipped_or_seen_twice_while_money_moves(house: House) -> None:
    """With `skip` an entry written between two pages would push one that was seen onto the next page."""
    ann, first = house.funded(100)
    second = ann.open_account()
    for _ in range(9):
        assert ann.send(first, second, 1).status_code == 201
    page = _page(ann, first, limit=3)
    top = page["previousCursor"]
    seen = _seqs(page["entries"])
    while page["more"]:
        assert ann.send(first, second, 1).status_code == 201
        page = _page(ann, first, limit=3, cursor=page["nextCursor"])
        seen += _seqs(page["entries"])
    assert seen == list(range(10, 0, -1))
    newer = _page(ann, first, cursor=top)
    assert _seqs(newer["entries"]) == [13, 12, 11]
    assert _page(ann, first, cursor=newer["previousCursor"])["entries"] == []


FILTERS: list[tuple[dict[str, str], list[int]]] = [
    ({"direction": "credit"}, [19, 17, 15, 13, 11, 9, 7, 5, 3, 1]),
    ({"direction": "DEBIT", "maxAmount": "0.06"}, [6, 4, 2]),
    ({"amount": "0.07"}, [7]),
    ({"amount": "0.070"}, [7]),
    ({"amount": "0.075"}, []),
    ({"minAmount": "0.185"}, [20, 19, 1]),
    ({"minAmount": "0.18", "maxAmount": "0.185"}, [18]),
    ({"minAmount": "9999999999999999"}, []),
    ({"from": "2026-03-18"}, [20, 19, 18]),
    ({"to": "2026-03-02"}, [2, 1]),
    ({"from": "2026-03-05", "to": "2026-03-05"}, [5]),
    ({"from": "2026-03-05T12:00:00Z", "to": "2026-03-06T12:00:00Z"}, [5]),
    ({"from": "2026-03-05T12:00:00.001Z", "to": "2026-03-06T12:00:00.001Z"}, [6]),
    ({"from": "2026-03-05", "to": "2026-03-05", "tz": "Pacific/Auckland"}, [4]),
    ({"from": "2031-01-01"}, []),
    ({"reference": "R1"}, [19, 16, 13, 10, 7, 4]),
    ({"reference": "R"}, []),
    ({"text": "number 1"}, [15, 10]),
    ({"text": "100%"}, [20, 15, 10, 5]),
    ({"text": "_"}, []),
    ({"text": "r2"}, [20, 17, 14, 11, 8, 5, 2]),
    ({"metadata[nth]": "17"}, [17]),
    ({"metadata[odd]": "true", "metadata[nth]": "18"}, []),
    ({"metadata[odd]": "false", "maxAmount": "0.05"}, [4, 2]),
    ({"metadata[other]": "x"}, []),
    ({"kind": "transfer", "status": "completed"}, list(range(20, 0, -1))),
]


@pytest.mark.parametrize(("query", "expected"), FILTERS, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("limit", [2, 50])
def test_filters_keep_what_they_say_on_every_page(
    story: Story, query: dict[str, str], expected: list[int], limit: int
) -> None:
    ann, first, *_ = story
    assert _seqs(_all(ann, first, **query, limit=limit)) == expected
    assert _seqs(_all(ann, first, **query, limit=limit, order="asc")) == expected[::-1]


def test_the_counterparty_narrows_the_history(story: Story) -> None:
    ann, first, _, second = story
    assert _seqs(_all(ann, first, counterparty=second)) == list(range(20, 1, -1))
    assert _seqs(_all(ann, first, counterparty=NOBODY)) == []


@pytest.mark.parametrize(
    "query",
    [
        *(
            "direction=up",
            "from=yesterday",
            "to=2026-02-30",
            "tz=Mars",
            "counterparty=x",
            "amount=-1",
            "amount=1e3",
        ),
        *("minAmount=0", "maxAmount=x", "kind=GIFT", "status=DONE", "order=up", "limit=0", "limit=201"),
        *("metadata[a]=%00", "text=%00", "text=%0A", "reference=%00", "text=" + "x" * 201, "cursor=x"),
        *("&".join(f"metadata[{name}]=1" for name in "abcde"), "from=2026-03-01T12:00:00"),
    ],
)
def test_a_filter_that_says_nothing_sensible_is_refused(story: Story, query: str) -> None:
    ann, first, *_ = story
    answer = ann.get(f"/api/accounts/{first}/entries?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in {"invalid_field", "invalid_amount", "invalid_id", "invalid_cursor"}


def test_a_cursor_that_was_changed_is_refused(story: Story) -> None:
    ann, first, *_ = story
    cursor = str(_page(ann, first, limit=2, direction="DEBIT")["nextCursor"])
    forged = [
        cursor[:nth] + ("A" if cursor[nth] != "A" else "B") + cursor[nth + 1 :] for nth in range(len(cursor))
    ]
    odd = [
        "",
        "=",
        cursor + "=",
        cursor + "A",
        cursor[:-1],
        " " + cursor,
        cursor[: len(cursor) // 2],
        "é",
        "A" * 20_000,
    ]
    for text in (*forged, *odd[1:]):
        answer = ann.get(f"/api/accounts/{first}/entries?{urlencode({'cursor': text})}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), text


def test_a_cursor_keeps_its_filters_and_refuses_others(story: Story) -> None:
    ann, first, bob, second = story
    query = {"direction": "DEBIT", "to": "2026-03-18", "order": "asc"}
    cursor = _page(ann, first, limit=2, **query)["nextCursor"]
    onwards = _page(ann, first, limit=2, cursor=cursor)
    assert _seqs(onwards["entries"]) == [6, 8]
    assert _page(ann, first, limit=2, cursor=cursor, **query) == onwards
    assert _page(ann, first, limit=3, cursor=cursor, order="asc")["entries"][:2] == onwards["entries"]
    for other in (
        {"direction": "CREDIT"},
        {"order": "desc"},
        {"to": "2026-03-19"},
        {"text": "rent"},
        {"tz": "UTC"},
    ):
        answer = ann.get(f"/api/accounts/{first}/entries?{urlencode({'cursor': cursor} | other)}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), other
    foreign = bob.get(f"/api/accounts/{second}/entries?{urlencode({'cursor': cursor})}")
    assert (foreign.status_code, foreign.json()["code"]) == (400, "invalid_cursor")


def test_a_sparse_match_is_found_in_bounded_pages(house: House) -> None:
    """A page that looked at all it may says that there is more, also when it found nothing."""
    ann = house.client.register("Ann")
    account = ann.open_account()
    source = treasury(house)
    house.tables.script(many(source, account, 4500))
    page = _page(ann, account, amount="0.03")
    empty = 0
    found = _seqs(page["entries"])
    while page["more"]:
        empty += page["entries"] == []
        page = _page(ann, account, cursor=page["nextCursor"])
        found += _seqs(page["entries"])
    assert found == [3]
    assert empty == 2


def test_a_history_is_its_owners_and_the_auditors(house: House, story: Story) -> None:
    ann, first, bob, _ = story
    unknown = ann.get(f"/api/accounts/{NOBODY}/entries")
    assert unknown.json()["code"] == "account_not_found"
    for path in ("entries", "series?from=2026-03-01&to=2026-03-20", "balance?effectiveAt=2026-03-05T00:00:00Z"):
        for person in (bob, house.system):
            answer = person.get(f"/api/accounts/{first}/{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "account_not_found"), path
        assert house.client.request("GET", f"/api/accounts/{first}/{path}").status_code == 401


def _balance(person: Person, account: str, **at: str) -> float:
    answer = person.get(f"/api/accounts/{account}/balance?{urlencode(at)}")
    assert answer.status_code == 200, answer.text
    return float(answer.json()["balance"])


def test_the_balance_of_a_moment_is_that_after_the_last_line_before_it(story: Story) -> None:
    ann, first, *_ = story
    for line in itertools.islice(_all(ann, first), 10):
        assert _balance(ann, first, effectiveAt=line["createdAt"]) == line["balanceAfter"]
    assert _balance(ann, first, effectiveAt="2026-03-01T11:59:59.999Z") == 0
    assert _balance(ann, first, effectiveAt="2026-03-01T12:00:00.000Z") == 10
    assert _balance(ann, first, knownAt="2026-03-01T12:00:00Z") == 10


def test_the_balance_on_both_axes_of_time(house: House) -> None:
    """Two entries recorded late: one of 5 in April that is said to have happened in February, one of 7 in May
    that is said to have happened in March."""
    ann = house.client.register("Ann")
    account, source = ann.open_account(), treasury(house)
    move(house.tables, source, account, 100, "2026-01-15T00:00:00")
    move(house.tables, source, account, 500, "2026-04-01T00:00:00", effective_at="2026-02-01T00:00:00")
    move(house.tables, account, source, 700 - 200, "2026-05-01T00:00:00", effective_at="2026-03-01T00:00:00")
    seen = {
        (effective, known): _balance(
            ann,
            account,
            effectiveAt=f"2026-{effective:02d}-20T00:00:00Z",
            knownAt=f"2026-{known:02d}-20T00:00:00Z",
        )
        for effective in range(1, 6)
        for known in range(1, 6)
    }
    assert seen == {
        (effective, known): 1
        + (5 if effective >= 2 and known >= 4 else 0)
        - (5 if effective >= 3 and known >= 5 else 0)
        for effective in range(1, 6)
        for known in range(1, 6)
    }
    line = _page(ann, account, limit=1)["entries"][0]
    assert (line["createdAt"], line["effectiveAt"]) == ("2026-05-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z")


def test_a_moment_to_come_is_answered_as_now_and_says_so(story: Story) -> None:
    ann, first, *_ = story
    said = ann.get(
        f"/api/accounts/{first}/balance?effectiveAt=2999-01-01T00:00:00Z&knownAt=2999-01-01T00:00:00Z"
    ).json()
    assert said["balance"] == ann.balance(first)
    assert said["effectiveAt"] == said["knownAt"] < "2999"


@pytest.mark.parametrize("query", ["effectiveAt=2026-03-01", "knownAt=now", "effectiveAt=2026-13-01T00:00:00Z"])
def test_a_moment_that_is_none_is_refused(story: Story, query: str) -> None:
    ann, first, *_ = story
    for path in (f"/api/accounts/{first}/balance", f"/api/accounts/balance/{first}"):
        assert ann.get(f"{path}?{query}").json()["code"] == "invalid_field"


def test_a_balance_with_a_blank_query_is_that_of_now(story: Story) -> None:
    ann, first, *_ = story
    plain = ann.get(f"/api/accounts/balance/{first}").json()
    for query in ("", "effectiveAt=", "other=1"):
        assert ann.get(f"/api/accounts/balance/{first}?{query}").json() == plain


def _series(person: Person, account: str, **query: str) -> list[dict[str, Any]]:
    answer = person.get(f"/api/accounts/{account}/series?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    steps: list[dict[str, Any]] = answer.json()["steps"]
    return steps


def test_a_series_carries_the_balance_over_and_knows_its_lowest_and_highest(house: House) -> None:
    ann = house.client.register("Ann")
    account, source = ann.open_account(), treasury(house)
    for at, minor in (("05T01", 100), ("05T02", 300), ("05T03", -250), ("08T00", -100), ("08T23", 75)):
        pair = (source, account) if minor > 0 else (account, source)
        move(house.tables, *pair, abs(minor), f"2026-03-{at}:00:00")
    steps = _series(ann, account, **{"from": "2026-03-04", "to": "2026-03-09"})
    shown = [
        [step[name] for name in ("opening", "closing", "in", "out", "min", "max", "entries")] for step in steps
    ]
    assert shown == [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 1.5, 4, 2.5, 0, 4, 3],
        [1.5, 1.5, 0, 0, 1.5, 1.5, 0],
        [1.5, 1.5, 0, 0, 1.5, 1.5, 0],
        [1.5, 1.25, 0.75, 1, 0.5, 1.5, 2],
        [1.25, 1.25, 0, 0, 1.25, 1.25, 0],
    ]
    assert [step["from"] for step in steps] == [f"2026-03-{day:02d}T00:00:00.000Z" for day in range(4, 10)]
    # In Kolkata the 23 o'clock entry belongs to the next day.
    kolkata = _series(ann, account, **{"from": "2026-03-08", "to": "2026-03-09", "tz": "Asia/Kolkata"})
    assert [step["entries"] for step in kolkata] == [1, 1]
    assert [step["from"] for step in kolkata] == ["2026-03-07T18:30:00.000Z", "2026-03-08T18:30:00.000Z"]
    months = _series(ann, account, **{"from": "2026-01-01", "to": "2026-04-30", "step": "month"})
    assert [step["closing"] for step in months] == [0, 0, 1.25, 1.25]


@pytest.mark.parametrize(("code", "minor", "shown"), [("JPY", 1500, 1500), ("KWD", 1500, 1.5)])
def test_amounts_have_the_places_of_the_currency(house: House, code: str, minor: int, shown: float) -> None:
    ann = house.client.register("Ann")
    account, source = ann.open_account(currency=code), treasury(house, currency=code)
    move(house.tables, source, account, minor, "2026-03-05T00:00:00")
    assert _page(ann, account, minAmount=str(shown))["entries"][0]["balanceAfter"] == shown
    assert _page(ann, account, minAmount=str(shown + 1))["entries"] == []
    assert _series(ann, account, **{"from": "2026-03-05", "to": "2026-03-05"})[0]["in"] == shown
    assert _balance(ann, account, effectiveAt="2026-03-05T00:00:00Z") == shown


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "missing_field"),
        ("from=2026-03-01", "missing_field"),
        ("from=2026-03-02&to=2026-03-01", "invalid_field"),
        ("from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z", "invalid_field"),
        ("from=2020-01-01&to=2026-03-01", "invalid_field"),
        ("from=2026-03-01&to=2026-03-02&step=year", "invalid_field"),
        ("from=2026-03-01&to=2026-03-02&tz=Nowhere", "invalid_field"),
    ],
)
def test_a_series_that_is_none_is_refused(story: Story, query: str, code: str) -> None:
    ann, first, *_ = story
    assert ann.get(f"/api/accounts/{first}/series?{query}").json()["code"] == code


def test_a_series_leaves_out_what_has_not_begun(story: Story) -> None:
    ann, first, *_ = story
    assert _series(ann, first, **{"from": "2999-01-01", "to": "2999-01-02"}) == []
    assert [
        step["to"] < "2999"
        for step in _series(
            ann, first, **{"from": "2026-03-01", "to": "2999-01-01", "step": "month"} | {"to": "2080-01-01"}
        )
    ]


@pytest.mark.anyio
async def test_a_series_of_too_many_entries_is_refused(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_SUMMED", -1)
    ann = await ledger.users.register("ann@example.com", "correct horse", "Ann")
    account = await ledger.accounts.open(ann, Currency("INR", 2), None)
    month = period_of(date(2026, 3, 1), date(2026, 3, 31), zone_of(None))
    with pytest.raises(TooManyEntries) as refusal:
        await ledger.history.series(ann, account.id, month, Step.DAY, zone_of(None))
    assert refusal.value.facts == {"entries": 0, "most": -1}
