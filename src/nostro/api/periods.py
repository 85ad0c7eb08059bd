"""Closing and reopening the books of a currency, and who did."""

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from nostro.api.bodies import Fields, optional_text_of, read_fields, require, text_of
from nostro.api.desk import Desk
from nostro.api.documents import Document, json_answer
from nostro.api.paging import page_of
from nostro.domain.errors import NotAuditor
from nostro.domain.event import shown_time
from nostro.domain.ids import show_id
from nostro.domain.moments import parse_bound
from nostro.ledger.calendar import until_of, zone_of
from nostro.store.periods import ClosedPeriod, PeriodEvent


async def list_periods(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    limit, skip = page_of(request)
    if not user.role.sees_all:
        raise NotAuditor
    periods = await desk.ledger.periods.closed()
    events = await desk.ledger.periods.events(limit=limit, skip=skip)
    return json_answer(
        200,
        {
            "success": True,
            "periods": [period_document(period.currency, period) for period in periods],
            "events": [event_document(event) for event in events],
            "limit": limit,
            "skip": skip,
        },
    )


async def close_period(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    fields = await read_fields(request)
    require(fields, "currency", "until", "reason")
    currency, until = _currency(fields), _until(fields)
    assert until is not None, "a required field is there"
    closed = await desk.ledger.periods.close(user, currency, until, text_of(fields, "reason"))
    return _changed("Period closed", currency, closed)


async def reopen_period(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    fields = await read_fields(request)
    require(fields, "currency", "reason")
    currency = _currency(fields)
    left = await desk.ledger.periods.reopen(user, currency, _until(fields), text_of(fields, "reason"))
    return _changed("Period reopened", currency, left)


def _currency(fields: Fields) -> str:
    return text_of(fields, "currency").strip().upper()


def _until(fields: Fields) -> datetime | None:
    """A date is closed, or left closed, to its end in the time zone `tz`."""
    text = optional_text_of(fields, "until")
    zone = zone_of(optional_text_of(fields, "tz") or None)
    return until_of(parse_bound(text, "until"), zone) if text else None


def _changed(message: str, currency: str, period: ClosedPeriod | None) -> Response:
    return json_answer(200, {"message": message, "success": True, "period": period_document(currency, period)})


def period_document(currency: str, period: ClosedPeriod | None) -> Document:
    return {
        "currency": currency,
        "closedUntil": _moment(period and period.closed_until),
        "closedAt": _moment(period and period.closed_at),
    }


def event_document(event: PeriodEvent) -> Document:
    return {
        "position": event.position,
        "kind": event.kind,
        "currency": event.currency,
        "before": _moment(event.before),
        "after": _moment(event.after),
        "reason": event.reason,
        "actor": event.actor and show_id(event.actor),
        "actorName": event.actor_name,
        "createdAt": shown_time(event.created_at),
    }


def _moment(when: datetime | None) -> Any:
    return None if when is None else shown_time(when)
