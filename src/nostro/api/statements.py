"""Statements of an account, as JSON, CSV or PDF."""

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from nostro.api.desk import Desk
from nostro.api.documents import Document, json_answer, number
from nostro.api.filters import period_asked
from nostro.api.history import entry_document
from nostro.domain.errors import InvalidField
from nostro.domain.event import shown_time
from nostro.domain.ids import parse_id, show_id
from nostro.domain.transaction import Direction
from nostro.ledger.statement_csv import csv_of
from nostro.ledger.statements import Statement
from nostro.store.history import EntryRow

_MEDIA = {"json": "application/json", "csv": "text/csv", "pdf": "application/pdf"}


async def statement(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    account = parse_id(request.path_params["account"], "accountId")
    query = {name: text for name in ("from", "to", "tz") if (text := request.query_params.get(name))}
    form = _form(request)
    period, zone = period_asked(query)
    found = await desk.ledger.statements.of(user, account, period, zone)
    if form == "csv":
        return StreamingResponse(
            csv_of(found, desk.ledger.statements.lines(found)),
            headers=_file(found, "csv"),
            media_type=f"{_MEDIA['csv']}; charset=utf-8; header=present",
        )
    lines = await desk.ledger.statements.whole(found)
    if form == "pdf":
        pdf = await desk.ledger.typesetter.pdf_of(found, lines)
        return Response(pdf, headers=_file(found, "pdf"), media_type=_MEDIA["pdf"])
    return json_answer(200, statement_document(found, lines), {"Vary": "Accept"})


def _form(request: Request) -> str:
    """`format`, or the first of the accepted types that there is; JSON for whoever accepts anything."""
    asked = request.query_params.get("format")
    if asked:
        if asked.lower() not in _MEDIA:
            raise InvalidField("format", f"must be one of {', '.join(_MEDIA)}")
        return asked.lower()
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    forms = {media: form for form, media in _MEDIA.items()}
    return next((forms[media] for media in accepted if media in forms), "json")


def _file(found: Statement, ending: str) -> dict[str, str]:
    name = (
        f"statement-{show_id(found.span.account)}-{found.period.since.astimezone(found.zone):%Y-%m-%d}.{ending}"
    )
    return {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept"}


def statement_document(found: Statement, lines: list[EntryRow]) -> Document:
    span = found.span
    totals = {
        direction: sum(line.amount for line in lines if line.direction is direction) for direction in Direction
    }
    amounts = {
        "opening": found.opening,
        "in": totals[Direction.CREDIT],
        "out": totals[Direction.DEBIT],
        "closing": found.closing,
    }
    return {
        "success": True,
        "accountId": show_id(span.account),
        "owner": show_id(span.owner),
        "ownerName": span.owner_name,
        "name": span.name,
        "currency": span.currency.code,
        "from": shown_time(found.period.since),
        "to": shown_time(found.period.until),
        "tz": found.zone.key,
        **{name: number(amount, span.currency.exponent) for name, amount in amounts.items()},
        "entries": [entry_document(line, span.currency) for line in lines],
    }
