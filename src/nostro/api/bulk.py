"""Many transfers in one request: each with its own key and its own result, or all or nothing.

The body is a JSON array, an object `{"atomic": …, "transfers": […]}`, or NDJSON (one transfer a line). Work is
done in slices with a pause between them, so that thousands of transfers do not hold up the single ones.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from nostro.api.bodies import parse_fields, read_body, require_type
from nostro.api.desk import Desk
from nostro.api.dialects import Dialect
from nostro.api.documents import JSON, Document, encode, transaction_document
from nostro.api.problems import problem, told
from nostro.api.sent import plain_transfer, transfer_of
from nostro.domain.books import Outcome, Posted
from nostro.domain.errors import (
    GroupRefused,
    InvalidField,
    MalformedJson,
    MissingField,
    NostroError,
)
from nostro.domain.requests import TransferRequest
from nostro.domain.user import Claims
from nostro.ledger.transfers import transfer_request

MOST_TRANSFERS = 10_000
# An all-or-nothing request is one database transaction: a longer one would hold its locks for too long.
MOST_TOGETHER = 1_000
LONGEST_BODY = 4 * 1024 * 1024
_SLICE = 100

Item = TypeVar("Item")

_TYPES = re.compile(r"application/(?:json|x-ndjson|ndjson|[\w.+-]+\+json)\s*(?:;|$)", re.IGNORECASE)
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(frozen=True)
class Order:
    """What was asked for: the transfers, each still as it was written, and whether all or none may happen."""

    items: Sequence[bytes]
    together: bool


async def bulk(request: Request, desk: Desk) -> Response:
    """Every transfer with its own result, in the order they were sent; all or nothing if `atomic` says so."""
    claims = desk.claims(request)
    await desk.ledger.users.session(claims)
    order = await _order_of(request)
    parsed = await _parsed(order.items, claims)
    if order.together:
        return await _all_or_nothing(request, desk, parsed)
    outcomes = await _each(desk, parsed)
    return await _results(desk.dialect(request), outcomes)


async def _order_of(request: Request) -> Order:
    """Raises `MalformedJson`, `MissingField`, `InvalidField`, `BodyTooLarge`."""
    body = await read_body(request, LONGEST_BODY)
    require_type(request, _TYPES)
    together = _flag(request.query_params.get("atomic", ""))
    if "ndjson" in request.headers.get("content-type", "").lower():
        items: Sequence[bytes] = [line for line in body.splitlines() if line.strip()]
    elif body.lstrip()[:1] == b"{":
        fields = parse_fields(body)
        together |= _flag(bytes(fields.get("atomic", b"false")).decode("ascii", "replace"))
        if "transfers" not in fields:
            raise MissingField("transfers")
        items = _items(bytes(fields["transfers"]))
    else:
        items = _items(body)
    _check_length(len(items), together=together)
    return Order(items, together)


def _items(array: bytes) -> list[bytes]:
    try:
        array.decode()
        return [bytes(item) for item in _decode_items(array)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedJson("The body is not an array of transfers in JSON") from None


def _flag(text: str) -> bool:
    if text not in {"", "true", "false"}:
        raise InvalidField("atomic", "must be true or false")
    return text == "true"


def _check_length(length: int, *, together: bool) -> None:
    if length == 0:
        raise MissingField("transfers")
    most = MOST_TOGETHER if together else MOST_TRANSFERS
    if length > most:
        raise InvalidField("transfers", f"must be at most {most}{' when atomic' if together else ''}")


async def _parsed(items: Sequence[bytes], claims: Claims) -> list[TransferRequest | NostroError]:
    parsed: list[TransferRequest | NostroError] = []
    for _, part in _slices(items):
        await asyncio.sleep(0)  # let the single requests through
        parsed += [_request_of(item, claims) for item in part]
    return parsed


def _request_of(item: bytes, claims: Claims) -> TransferRequest | NostroError:
    try:
        sent = plain_transfer(item) or transfer_of(parse_fields(item))
        from_account, to_account, amount, key, terms = sent
        return transfer_request(claims, key, from_account, to_account, amount, terms=terms)
    except NostroError as refusal:
        return refusal


async def _each(desk: Desk, parsed: Sequence[TransferRequest | NostroError]) -> list[Outcome]:
    """The outcome of each: what was refused already, and what the ledger said of the rest."""
    sound = [request for request in parsed if isinstance(request, TransferRequest)]
    if not sound:
        return [one for one in parsed if isinstance(one, NostroError)]
    answers = iter(await desk.ledger.transfers.begin_bulk(sound, together=False))
    return [next(answers) if isinstance(one, TransferRequest) else one for one in parsed]


async def _all_or_nothing(
    request: Request, desk: Desk, parsed: Sequence[TransferRequest | NostroError]
) -> Response:
    sound = [one for one in parsed if isinstance(one, TransferRequest)]
    if len(sound) < len(parsed):
        return _culprit(request, desk, parsed)
    outcomes = await desk.ledger.transfers.begin_bulk(sound, together=True)
    if any(isinstance(outcome, NostroError) for outcome in outcomes):
        return _culprit(request, desk, outcomes)
    return await _results(desk.dialect(request), outcomes)


def _culprit(request: Request, desk: Desk, outcomes: Sequence[Outcome | TransferRequest]) -> Response:
    """The answer of the first that was refused for a reason of its own, with its index."""
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, NostroError) and not isinstance(outcome, GroupRefused):
            outcome.facts["index"] = index
            return problem(request, outcome, desk.dialect(request), "transfer")
    raise AssertionError("a group is refused because one of it was")


async def _results(dialect: Dialect, outcomes: Sequence[Outcome]) -> Response:
    """Encoded slice by slice, for the same reason that it was parsed so."""
    encoded: list[bytes] = []
    for start, part in _slices(outcomes):
        results = [_result(start + n, outcome, dialect) for n, outcome in enumerate(part)]
        encoded.append(encode(results)[1:-1])
        await asyncio.sleep(0)
    refused = sum(isinstance(outcome, NostroError) for outcome in outcomes)
    replayed = sum(isinstance(outcome, Posted) and outcome.replayed for outcome in outcomes)
    head = {
        "message": "Bulk processed",
        "success": refused == 0,
        "succeeded": len(outcomes) - refused,
        "replayed": replayed,
        "refused": refused,
    }
    body = encode(head)[:-1] + b',"results":[' + b",".join(encoded) + b"]}"
    return Response(body, 200, media_type=JSON)


def _slices(items: Sequence[Item]) -> Iterator[tuple[int, Sequence[Item]]]:
    """The items slice by slice, and the number of each slice's first."""
    for start in range(0, len(items), _SLICE):
        yield start, items[start : start + _SLICE]


def _result(index: int, outcome: Outcome, dialect: Dialect) -> Document:
    if isinstance(outcome, NostroError):
        said = told(outcome, dialect, "transfer")
        return {"index": index, "status": said.pop("httpStatus")} | said
    status, message = dialect.answer("replayed" if outcome.replayed else "transferred")
    return {
        "index": index,
        "status": status,
        "code": "replayed" if outcome.replayed else "posted",
        "message": message,
        "transaction": transaction_document(outcome.transaction),
    }
