"""The currencies there are, registering assets, and the rates at which system users exchange."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from nostro.api.bodies import number_text_of, read_fields, require, text_of, whole
from nostro.api.desk import Desk
from nostro.api.documents import Document, json_answer
from nostro.domain.errors import InvalidField, MissingField
from nostro.domain.event import shown_time
from nostro.domain.ids import show_id
from nostro.domain.money import parse_rate, show_rate
from nostro.ledger.currencies import MOST_PLACES
from nostro.store.currencies import CurrencyRow, RateRow


async def list_currencies(request: Request, desk: Desk) -> Response:
    await desk.user(request)
    rows = await desk.ledger.currencies.all()
    return json_answer(200, {"success": True, "currencies": [currency_document(row) for row in rows]})


async def register_currency(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    fields = await read_fields(request)
    require(fields, "code", "name")
    exponent = whole(bytes(fields.get("exponent", b"")))
    if exponent is None or not 0 <= exponent <= MOST_PLACES:
        raise InvalidField("exponent", f"must be a whole number from 0 to {MOST_PLACES}")
    row = await desk.ledger.currencies.register(
        user, text_of(fields, "code"), exponent, text_of(fields, "name")
    )
    return json_answer(200, {"success": True, "currency": currency_document(row)})


async def list_rates(request: Request, desk: Desk) -> Response:
    await desk.user(request)
    rows = await desk.ledger.rates.all()
    return json_answer(200, {"success": True, "rates": [rate_document(row) for row in rows]})


async def one_rate(request: Request, desk: Desk) -> Response:
    await desk.user(request)
    row = await desk.ledger.rates.of(request.path_params["base"], request.path_params["quote"])
    return json_answer(200, {"success": True, "rate": rate_document(row)})


async def set_rate(request: Request, desk: Desk) -> Response:
    user = await desk.user(request, system=True)
    fields = await read_fields(request)
    text = number_text_of(fields, "rate")
    if text is None:
        raise MissingField("rate")
    base, quote = request.path_params["base"], request.path_params["quote"]
    row = await desk.ledger.rates.set(user, base, quote, parse_rate(text))
    return json_answer(200, {"success": True, "rate": rate_document(row)})


def currency_document(row: CurrencyRow) -> Document:
    return {"code": row.code, "exponent": row.exponent, "name": row.name, "custom": row.custom}


def rate_document(row: RateRow) -> Document:
    return {
        "base": row.base,
        "quote": row.quote,
        "rate": msgspec.Raw(show_rate(row.rate).encode()),
        "maker": show_id(row.maker),
        "updatedAt": shown_time(row.updated_at),
    }
