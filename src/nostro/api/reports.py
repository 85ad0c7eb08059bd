"""What all books together say, for operators and auditors."""

from collections.abc import Iterable
from itertools import groupby

from starlette.requests import Request
from starlette.responses import Response

from nostro.api.cursors import Query, asked, cursor_of
from nostro.api.desk import Desk
from nostro.api.documents import Document, json_answer, number
from nostro.api.filters import word_of
from nostro.api.paging import limit_of
from nostro.api.periods import event_document
from nostro.domain.errors import InvalidCursor, InvalidField, MissingField
from nostro.domain.event import shown_time
from nostro.domain.history import Place
from nostro.domain.ids import ObjectId, show_id
from nostro.domain.moments import parse_bound, parse_inclusive
from nostro.domain.money import Currency
from nostro.domain.transaction import Direction
from nostro.ledger.calendar import until_of, zone_of
from nostro.ledger.reports import Balances, Grouping
from nostro.store.reports import Cut, RestatedRow, Sum

_ID_BYTES, _SEQ_BITS = 12, 63
_BALANCES = "balances"


async def trial_balance(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    cut = _cut(asked(request, "trial balance", ("at", "position")).query)
    found = await desk.ledger.reports.balances(user, Grouping.KIND, cut)
    return json_answer(200, {"success": True} | trial_balance_document(found))


def trial_balance_document(found: Balances) -> Document:
    by_currency = [(currency, list(sums)) for currency, sums in groupby(found.sums, lambda one: one.currency)]
    currencies = [
        _totals(currency, sums)
        | {"difference": number(_difference(sums), currency.exponent)}
        | {"kinds": [{"kind": _kind(one)} | _totals(currency, [one]) for one in sums]}
        for currency, sums in by_currency
    ]
    return {
        "position": found.position,
        "at": found.at and shown_time(found.at),
        "balanced": all(_difference(sums) == 0 for _, sums in by_currency),
        "currencies": currencies,
    }


def _difference(sums: Iterable[Sum]) -> int:
    return sum(one.credits - one.debits for one in sums)


def _totals(currency: Currency, sums: list[Sum]) -> Document:
    debits, credits_ = sum(one.debits for one in sums), sum(one.credits for one in sums)
    return {
        "currency": currency.code,
        "accounts": sum(one.accounts for one in sums),
        "debits": number(debits, currency.exponent),
        "credits": number(credits_, currency.exponent),
        "balance": number(credits_ - debits, currency.exponent),
    }


def _kind(one: Sum) -> str:
    return "SETTLEMENT" if one.settlement else "CUSTOMER"


async def balances(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    query, place = asked(request, _BALANCES, ("by", "at", "position"))
    grouping = word_of(query.get("by", "currency"), "by", Grouping)
    after = _owner(place) if place else ObjectId(b"")
    found = await desk.ledger.reports.balances(
        user, grouping, _cut(query), after=after, limit=limit_of(request)
    )
    return json_answer(
        200,
        {
            "success": True,
            "by": grouping.value,
            "position": found.position,
            "at": found.at and shown_time(found.at),
            "balances": [_sum_document(one, found) for one in found.sums],
        }
        | _onwards(_BALANCES, _pinned(query, found), int.from_bytes(found.onwards) if found.onwards else None),
    )


def _pinned(query: Query, found: Balances) -> Query:
    """Later pages are cut where the first one was."""
    return query if found.position is None else query | {"position": str(found.position)}


def _owner(place: Place) -> ObjectId:
    if not 0 <= place.edge < 1 << 8 * _ID_BYTES:
        raise InvalidCursor
    return ObjectId(place.edge.to_bytes(_ID_BYTES))


def _sum_document(one: Sum, found: Balances) -> Document:
    document = _totals(one.currency, [one])
    if one.settlement is not None:
        document["kind"] = _kind(one)
    if one.owner is not None:
        document |= {"owner": show_id(one.owner), "ownerName": found.names[one.owner]}
    return document


def _cut(query: Query) -> Cut:
    at, position = query.get("at"), query.get("position")
    if at and position:
        raise InvalidField("position", "cannot stand beside at")
    if position and not (position.isascii() and position.isdigit() and len(position) <= 18):
        raise InvalidField("position", "must be a whole number")
    return Cut(parse_inclusive(at, "at") if at else None, int(position) if position else None)


async def restatements(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    query, place = asked(request, "restatements", ("currency", "until", "tz"))
    missing = [name for name in ("currency", "until") if name not in query]
    if missing:
        raise MissingField(*missing)
    currency = query["currency"].strip().upper()
    until = until_of(parse_bound(query["until"], "until"), zone_of(query.get("tz")))
    found = await desk.ledger.reports.restatements(
        user, currency, until, after=_late_entry(place), limit=limit_of(request)
    )
    return json_answer(
        200,
        {
            "success": True,
            "currency": currency,
            "until": shown_time(until),
            "closing": event_document(found.closing),
            "entries": [restated_document(row) for row in found.entries],
        }
        | _onwards("restatements", query, found.onwards and _edge(*found.onwards)),
    )


def _onwards(of: str, query: Query, edge: int | None) -> Document:
    cursor = None if edge is None else cursor_of(of, query, Place(edge, older=False))
    return {"nextCursor": cursor, "more": cursor is not None}


def _edge(account: ObjectId, seq: int) -> int:
    """A late entry's place among all, as one number."""
    return int.from_bytes(account) << _SEQ_BITS | seq


def _late_entry(place: Place | None) -> tuple[ObjectId, int]:
    if place is None:
        return ObjectId(b""), 0
    account, seq = divmod(max(place.edge, 0), 1 << _SEQ_BITS)
    return ObjectId(account.to_bytes(_ID_BYTES)), seq


def restated_document(row: RestatedRow) -> Document:
    exponent = row.currency.exponent
    change = row.amount if row.direction is Direction.CREDIT else -row.amount
    return {
        "accountId": show_id(row.account),
        "owner": show_id(row.owner),
        "ownerName": row.owner_name,
        "seq": row.seq,
        "position": row.position,
        "transactionId": show_id(row.transaction),
        "kind": row.kind.value,
        "direction": row.direction.value,
        "amount": number(row.amount, exponent),
        "change": number(change, exponent),
        "description": row.description,
        "reference": row.reference,
        "effectiveAt": shown_time(row.effective_at),
        "createdAt": shown_time(row.created_at),
    }
