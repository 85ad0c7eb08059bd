"""What happened to an account: its entries in pages, its balance at a moment, its course over a period."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from nostro.api import accounts
from nostro.api.cursors import Query, asked, cursor_of
from nostro.api.desk import Desk
from nostro.api.documents import Document, json_answer, number, seen_document
from nostro.api.filters import FILTERS, filters_of, period_asked, word_of
from nostro.api.paging import limit_of, page_of
from nostro.domain.errors import InvalidField, UnknownAccount
from nostro.domain.event import shown_time
from nostro.domain.history import Place
from nostro.domain.ids import parse_id, show_id
from nostro.domain.moments import parse_inclusive
from nostro.domain.money import Currency
from nostro.ledger.calendar import Step
from nostro.store.history import EntryRow, StepRow

_ORDERS = {"desc": True, "asc": False}


async def list_entries(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    account = parse_id(request.path_params["account"], "accountId")
    listed = f"entries of {show_id(account)}"
    query, place = asked(request, listed, (*FILTERS, "order"))
    order = query.get("order", "desc").lower()
    if order not in _ORDERS:
        raise InvalidField("order", "must be desc (newest first) or asc")
    page = await desk.ledger.history.entries(
        user,
        account,
        filters_of(query),
        place,
        newest_first=_ORDERS[order],
        limit=limit_of(request),
    )
    turned = (page.older, page.newer) if _ORDERS[order] else (page.newer, page.older)
    return json_answer(
        200,
        {
            "success": True,
            "accountId": show_id(account),
            "currency": page.currency.code,
            "entries": [entry_document(row, page.currency) for row in page.entries],
        }
        | cursors(listed, query, *turned),
    )


async def list_transactions(request: Request, desk: Desk) -> Response:
    """The caller's transactions, newest first; `accountId` narrows them to one of the caller's accounts."""
    user = await desk.user(request)
    own = [row.id for row in await desk.ledger.accounts.of(user.id)]
    wanted = request.path_params.get("account") or request.query_params.get("accountId")
    if wanted:
        account = parse_id(wanted, "accountId")
        if account not in own:
            raise UnknownAccount
        own = [account]
    listed = f"transactions of {show_id(own[0]) if wanted else show_id(user.id)}"
    query, place = asked(request, listed, FILTERS)
    limit, skip = page_of(request)
    page = await desk.ledger.history.transactions(
        own, filters_of(query), place, limit=limit, skip=0 if place else skip
    )
    document: Document = {
        "success": True,
        "transactions": [seen_document(seen, user) for seen in page.transactions],
        "limit": limit,
    }
    if place is None:
        document |= {"total": page.total, "skip": skip}
    return json_answer(200, document | cursors(listed, query, page.older, page.newer))


def cursors(of: str, query: Query, onwards: Place | None, backwards: Place | None) -> Document:
    """How a page says where the list goes on, in both directions, and whether it does so onwards."""
    return {
        "nextCursor": cursor_of(of, query, onwards) if onwards else None,
        "previousCursor": cursor_of(of, query, backwards) if backwards else None,
        "more": onwards is not None,
    }


def entry_document(row: EntryRow, currency: Currency) -> Document:
    return {
        "seq": row.seq,
        "position": row.position,
        "transactionId": show_id(row.transaction),
        "kind": row.kind.value,
        "status": row.status.value,
        "direction": row.direction.value,
        "amount": number(row.amount, currency.exponent),
        "balanceAfter": number(row.balance_after, currency.exponent),
        "currency": currency.code,
        "counterpartyAccountId": show_id(row.counterparty),
        "counterpartyUserName": row.counterparty_name,
        "description": row.description,
        "reference": row.reference,
        "metadata": raw_json(row.metadata),
        "createdAt": shown_time(row.created_at),
        "effectiveAt": shown_time(row.effective_at or row.created_at),
    }


def raw_json(text: str | None) -> Any:
    """JSON that was stored as text, digits and all."""
    return None if text is None else msgspec.Raw(text.encode())


async def balance(request: Request, desk: Desk) -> Response:
    """The balance now; with `effectiveAt` or `knownAt`, that of another moment."""
    at = {name: text for name in ("effectiveAt", "knownAt") if (text := request.query_params.get(name))}
    if not at:
        return await accounts.balance(request, desk)
    user = await desk.user(request)
    account = parse_id(request.path_params["account"], "accountId")
    moments = {name: parse_inclusive(text, name) for name, text in at.items()}
    found = await desk.ledger.history.balance_at(
        user, account, moments.get("effectiveAt"), moments.get("knownAt")
    )
    shown = show_id(found.account)
    return json_answer(
        200,
        {
            "success": True,
            "accountId": shown,
            "account": shown,
            "balance": number(found.balance, found.currency.exponent),
            "currency": found.currency.code,
            "effectiveAt": shown_time(found.effective_at),
            "knownAt": shown_time(found.known_at),
        },
    )


async def series(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    account = parse_id(request.path_params["account"], "accountId")
    query = {n: t for n in ("from", "to", "tz", "step") if (t := request.query_params.get(n))}
    period, zone = period_asked(query)
    step = word_of(query.get("step", "day"), "step", Step)
    found = await desk.ledger.history.series(user, account, period, step, zone)
    return json_answer(
        200,
        {
            "success": True,
            "accountId": show_id(account),
            "currency": found.currency.code,
            "step": step.value,
            "tz": zone.key,
            "steps": [_step_document(row, found.currency) for row in found.steps],
        },
    )


def _step_document(row: StepRow, currency: Currency) -> Document:
    amounts = {
        "opening": row.opening,
        "closing": row.closing,
        "in": row.credits,
        "out": row.debits,
        "min": row.lowest,
        "max": row.highest,
    }
    return {
        "from": shown_time(row.since),
        "to": shown_time(row.until),
        **{name: number(amount, currency.exponent) for name, amount in amounts.items()},
        "entries": row.entries,
    }
