"""Captures, voids, extensions and reversals: what is asked about an earlier transaction."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from nostro.api.bodies import Fields, amount_of, header_keys, key_of, missing_of, optional_text_of, read_fields
from nostro.api.desk import Desk
from nostro.api.terms import flag_of, notes_of, seconds_of
from nostro.api.transactions import answered, authenticate_first, previewed
from nostro.domain.details import valid_description
from nostro.domain.errors import InvalidAmount, MissingField, NostroError
from nostro.domain.ids import parse_id
from nostro.domain.money import Amount
from nostro.domain.transaction import Operation
from nostro.ledger.follow_ups import follow_up_request

Reader = Callable[[Fields], dict[str, Any]]


async def capture(request: Request, desk: Desk) -> Response:
    return await _follow_up(request, desk, Operation.CAPTURE, "captured", _capture_of)


async def void(request: Request, desk: Desk) -> Response:
    return await _follow_up(request, desk, Operation.VOID, "voided", _nothing_more)


async def extend(request: Request, desk: Desk) -> Response:
    return await _follow_up(request, desk, Operation.EXTEND, "extended", _extension_of)


async def reverse(request: Request, desk: Desk) -> Response:
    return await _follow_up(request, desk, Operation.REVERSE, "reversed", _reversal_of)


async def _follow_up(
    request: Request, desk: Desk, operation: Operation, situation: str, read: Reader
) -> Response:
    claims = desk.claims(request)
    try:
        parent = parse_id(request.path_params["transaction"], "transactionId")
        fields = await read_fields(request)
        is_dry = flag_of(fields, "dryRun")
        wishes: dict[str, Any] = {"notes": notes_of(fields)} | read(fields) | {"key": _key_of(fields, request)}
        wanted = follow_up_request(operation, claims, parent, **wishes)
    except NostroError:
        await authenticate_first(desk, claims)
        raise
    if is_dry:
        return await previewed(request, desk, wanted)
    return answered(request, desk, situation, await desk.ledger.follow_ups.ask(wanted))


def _key_of(fields: Fields, request: Request) -> str | None:
    """None when none is given: then every request is one of its own."""
    keys = header_keys(request)
    if missing_of(fields, "idempotencyKey") and not any(keys):
        return None
    return key_of(fields, keys)


def _capture_of(fields: Fields) -> dict[str, Any]:
    return {"amount": _amount_of(fields), "final": flag_of(fields, "final")}


def _nothing_more(_fields: Fields) -> dict[str, Any]:
    return {}


def _extension_of(fields: Fields) -> dict[str, Any]:
    if "expiresIn" not in fields:
        raise MissingField("expiresIn")
    return {"expires_in_s": seconds_of(fields, "expiresIn")}


def _reversal_of(fields: Fields) -> dict[str, Any]:
    """`reason` is kept as the description."""
    reason = optional_text_of(fields, "reason")
    notes = notes_of(fields)
    if reason is not None:
        notes = notes._replace(description=valid_description(reason))
    return {"amount": _amount_of(fields), "force": flag_of(fields, "force"), "notes": notes}


def _amount_of(fields: Fields) -> Amount | None:
    """None: all that is left."""
    raw = bytes(fields.get("amount", b"null"))
    if raw == b'""':
        raise InvalidAmount
    return None if raw == b"null" else amount_of(fields)
