"""The list of one's transactions: movements and holds, by cursor without a gap, narrowed like a history."""

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House


def _list(person: Person, **query: object) -> dict[str, Any]:
    answer = person.get(f"/api/transactions?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def _ids(said: dict[str, Any]) -> list[str]:
    return [one["_id"] for one in said["transactions"]]


def _send(person: Person, source: str, target: str, amount: object, **terms: object) -> str:
    body = {"fromAccount": source, "toAccount": target, "amount": amount, "idempotencyKey": fresh()}
    answer = person.post("/api/transactions", body | terms)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["transaction"]["_id"])


def _about(person: Person, transaction: str, verb: str, **body: object) -> None:
    answer = person.post(f"/api/transactions/{transaction}/{verb}", {"idempotencyKey": fresh(), **body})
    assert answer.status_code in {200, 201}, answer.text


def test_holds_stand_in_the_list_and_every_state_is_found(house: House) -> None:
    ann, first = house.funded(100)
    bob, second = house.funded(1, "Bob")
    moved = _send(ann, first, second, 10)
    waiting = _send(ann, first, second, 5, hold=True)
    voided = _send(ann, first, second, 6, hold=True)
    _about(ann, voided, "void")
    back = _send(ann, first, second, 7)
    _about(bob, back, "reverse")

    assert set(_ids(_list(ann, status="PENDING"))) == {waiting}
    assert set(_ids(_list(ann, status="failed"))) == {voided}
    for person in (ann, bob):
        assert set(_ids(_list(person, status="REVERSED"))) == {back}
    assert {moved, back, waiting, voided} <= set(_ids(_list(ann)))
    assert not {back, waiting, voided} & set(_ids(_list(ann, status="COMPLETED")))
    assert _list(ann, status="PENDING")["total"] == 1
    everything = _list(ann, limit=200)
    assert everything["total"] == len(everything["transactions"])
    statuses = {one["_id"]: one["status"] for one in everything["transactions"]}
    assert (statuses[waiting], statuses[voided], statuses[back]) == ("PENDING", "FAILED", "REVERSED")


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_a_list_turned_by_cursor_is_whole_while_money_moves(house: House, limit: int) -> None:
    ann, first = house.funded(100)
    second = ann.open_account()
    made = [_send(ann, first, second, 1, **({"hold": True} if number % 3 == 0 else {})) for number in range(9)]
    page = _list(ann, limit=limit)
    assert (page["total"], page["skip"]) == (10, 0)
    seen = _ids(page)
    while page["more"]:
        assert ann.send(first, second, 1).status_code == 201
        page = _list(ann, limit=limit, cursor=page["nextCursor"])
        assert "total" not in page
        seen += _ids(page)
    assert seen[:9] == made[::-1]
    assert len(seen) == 10


@pytest.mark.parametrize(("limit", "query"), [(1, {}), (3, {}), (50, {}), (2, {"status": "COMPLETED"})])
def test_a_list_is_read_back_and_what_is_new_is_found(house: House, limit: int, query: dict[str, str]) -> None:
    ann, first = house.funded(100)
    second = ann.open_account()
    for number in range(9):
        _send(ann, first, second, 1, **({"hold": True} if number % 3 == 0 else {}))
    pages = [_list(ann, limit=limit, **query)]
    while pages[-1]["more"]:
        pages.append(_list(ann, limit=limit, cursor=pages[-1]["nextCursor"]))
    back = pages[-1]
    for page in pages[-2::-1]:
        back = _list(ann, limit=limit, cursor=back["previousCursor"])
        assert _ids(back) == _ids(page)
        assert back["more"]
    assert _ids(_list(ann, limit=limit, cursor=back["previousCursor"])) == []
    new = [_send(ann, first, second, 1) for _ in range(5)]
    seen: list[str] = []
    while found := _ids(back := _list(ann, limit=limit, cursor=back["previousCursor"])):
        seen = found + seen
    assert seen == new[::-1]
    assert _ids(_list(ann, limit=2, cursor=back["nextCursor"]))[:1] == new[-1:]


def test_filters_narrow_the_list_on_every_page(house: House) -> None:
    ann, first = house.funded(100)
    second = ann.open_account()
    _, foreign = house.funded(1, "Bob")
    rent = [_send(ann, first, foreign, amount, reference="RENT", description="Flat 3b") for amount in (1, 2, 3)]
    fun = _send(ann, second, foreign, 0.5) if ann.send(first, second, 5).status_code == 201 else ""
    for query, expected in (
        ({"reference": "RENT"}, rent[::-1]),
        ({"text": "flat"}, rent[::-1]),
        ({"reference": "RENT", "minAmount": "2"}, rent[:0:-1]),
        ({"amount": "0.50"}, [fun]),
        ({"counterparty": foreign}, [fun, *rent[::-1]]),
        ({"from": "2999-01-01"}, []),
        ({"to": "1999-01-01"}, []),
        ({"metadata[a]": "b"}, []),
    ):
        whole = _list(ann, **query)
        assert (_ids(whole), whole["total"]) == (expected, len(expected)), query
        page = _list(ann, limit=1, **query)
        seen = _ids(page)
        while page["more"]:
            page = _list(ann, limit=1, cursor=page["nextCursor"])
            seen += _ids(page)
        assert seen == expected, query


def test_a_cursor_of_another_list_or_other_filters_is_refused(house: House) -> None:
    ann, first = house.funded(100)
    second = ann.open_account()
    for _ in range(3):
        ann.send(first, second, 1)
    cursor = _list(ann, limit=1, status="COMPLETED")["nextCursor"]
    for query in ({"status": "PENDING"}, {"accountId": first}, {"text": "x"}):
        answer = ann.get(f"/api/transactions?{urlencode({'cursor': cursor} | query)}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), query
    bob, _ = house.funded(1, "Bob")
    assert bob.get(f"/api/transactions?{urlencode({'cursor': cursor})}").json()["code"] == "invalid_cursor"
