"""Webhooks over HTTP: one's own only, whoever one is."""

from dataclasses import replace
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from nostro.api.bodies import Fields, optional_text_of, read_fields, require, text_of, whole_number_of
from nostro.api.desk import Desk
from nostro.api.documents import json_answer
from nostro.api.event_schemas import EVENT_TYPES
from nostro.api.paging import LARGEST_POSITION, page_of
from nostro.api.webhook_documents import attempt_document, delivery_document, webhook_document
from nostro.domain.errors import InvalidField
from nostro.domain.ids import ObjectId, parse_id
from nostro.domain.webhook import Scope, WebhookStatus, parse_patterns
from nostro.ledger.webhook_deliveries import MOST_REPLAYED
from nostro.ledger.webhooks import LONGEST_OVERLAP_HOURS, Wish

Word = TypeVar("Word", Scope, WebhookStatus)

DEFAULT_OVERLAP_HOURS = 24


async def create_webhook(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    fields = await read_fields(request)
    require(fields, "url")
    scope = _word_of(fields, "scope", Scope) or Scope.OWN
    webhook, secret = await desk.webhooks.create(user, text_of(fields, "url"), scope, _wish(fields))
    return desk.answer(request, "webhook_created", {"webhook": webhook_document(webhook), "secret": secret})


async def list_webhooks(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    rows = await desk.webhooks.of(user.id)
    return json_answer(200, {"success": True, "webhooks": [webhook_document(row) for row in rows]})


async def one_webhook(request: Request, desk: Desk) -> Response:
    owner, webhook = await _asked(request, desk)
    row = await desk.webhooks.one(owner, webhook)
    return json_answer(200, {"success": True, "webhook": webhook_document(row)})


async def change_webhook(request: Request, desk: Desk) -> Response:
    owner, webhook = await _asked(request, desk)
    fields = await read_fields(request)
    status = _word_of(fields, "status", WebhookStatus)
    row = await desk.webhooks.change(owner, webhook, replace(_wish(fields), status=status))
    return json_answer(200, {"message": "Webhook changed", "success": True, "webhook": webhook_document(row)})


async def delete_webhook(request: Request, desk: Desk) -> Response:
    owner, webhook = await _asked(request, desk)
    await desk.webhooks.delete(owner, webhook)
    return json_answer(200, {"message": "Webhook deleted", "success": True})


async def rotate_secret(request: Request, desk: Desk) -> Response:
    owner, webhook = await _asked(request, desk)
    fields = await read_fields(request)
    hours = whole_number_of(fields, "overlapHours", 0, LONGEST_OVERLAP_HOURS)
    row, secret = await desk.webhooks.rotate(owner, webhook, DEFAULT_OVERLAP_HOURS if hours is None else hours)
    return json_answer(
        200,
        {
            "message": "Webhook secret rotated",
            "success": True,
            "webhook": webhook_document(row),
            "secret": secret,
        },
    )


async def list_deliveries(request: Request, desk: Desk) -> Response:
    owner, webhook = await _asked(request, desk)
    limit, skip = page_of(request)
    rows = await desk.ledger.webhook_deliveries.of(owner, webhook, limit=limit, skip=skip)
    return json_answer(
        200,
        {
            "success": True,
            "deliveries": [delivery_document(row) for row in rows],
            "limit": limit,
            "skip": skip,
        },
    )


async def list_attempts(request: Request, desk: Desk) -> Response:
    owner, webhook = await _asked(request, desk)
    limit, skip = page_of(request)
    rows = await desk.ledger.webhook_deliveries.attempts(owner, webhook, limit=limit, skip=skip)
    return json_answer(
        200,
        {
            "success": True,
            "attempts": [attempt_document(row) for row in rows],
            "limit": limit,
            "skip": skip,
        },
    )


async def resend(request: Request, desk: Desk) -> Response:
    owner, webhook = await _asked(request, desk)
    position = _position(request.path_params["position"])
    row = await desk.ledger.webhook_deliveries.resend(owner, webhook, position)
    return json_answer(
        200, {"message": "Event queued again", "success": True, "delivery": delivery_document(row)}
    )


async def replay(request: Request, desk: Desk) -> Response:
    owner, webhook = await _asked(request, desk)
    fields = await read_fields(request)
    require(fields, "from")
    first = whole_number_of(fields, "from", 1, LARGEST_POSITION) or 1
    last = whole_number_of(fields, "to", 1, LARGEST_POSITION) or first + MOST_REPLAYED - 1
    replayed = await desk.ledger.webhook_deliveries.replay(owner, webhook, first, last)
    return json_answer(
        200,
        {
            "message": "Events queued again",
            "success": True,
            "from": first,
            "to": replayed.last,
            "queued": replayed.queued,
        },
    )


async def _asked(request: Request, desk: Desk) -> tuple[ObjectId, ObjectId]:
    """Who asks, and for which webhook."""
    user = await desk.user(request)
    return user.id, parse_id(request.path_params["webhook"], "webhookId")


def _wish(fields: Fields) -> Wish:
    """What is absent stays as it is; a description of null or "" takes the old one away."""
    return Wish(
        url=optional_text_of(fields, "url"),
        event_types=_event_types_of(fields),
        description=(optional_text_of(fields, "description") or "") if "description" in fields else None,
    )


def _event_types_of(fields: Fields) -> tuple[str, ...] | None:
    raw = bytes(fields.get("eventTypes", b"null"))
    try:
        given = msgspec.json.decode(raw, type=list[str] | None)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidField("eventTypes", "must be a list of strings") from None
    return None if given is None else parse_patterns(given, EVENT_TYPES)


def _word_of(fields: Fields, name: str, words: type[Word]) -> Word | None:
    text = optional_text_of(fields, name)
    if text is None:
        return None
    try:
        return words(text)
    except ValueError:
        raise InvalidField(name, f"must be {' or '.join(word.value for word in words)}") from None


def _position(text: str) -> int:
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_POSITION))
    if not digits or not 1 <= int(text) <= LARGEST_POSITION:
        raise InvalidField("position", f"must be a whole number from 1 to {LARGEST_POSITION}")
    return int(text)
