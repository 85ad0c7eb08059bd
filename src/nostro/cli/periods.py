"""`nostro period …`: closing the book of a currency, and opening it again."""

from datetime import datetime
from typing import Annotated, Any

import typer

from nostro.cli.session import AsJson, DataDir, show, with_ledger
from nostro.domain.moments import parse_bound
from nostro.ledger.calendar import until_of, zone_of
from nostro.ledger.service import Ledger
from nostro.settings import Settings
from nostro.store.periods import ClosedPeriod

app = typer.Typer(help="Close and reopen books; say which are closed.", no_args_is_help=True)

Currency = Annotated[str, typer.Argument(help="The currency whose accounts are the book.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the journal.")]
Zone = Annotated[str | None, typer.Option("--tz", help="The time zone whose days dates are (default UTC).")]


def _until(text: str, zone: str | None) -> datetime:
    return until_of(parse_bound(text, "until"), zone_of(zone))


def _document(currency: str, period: ClosedPeriod | None) -> dict[str, Any]:
    return {
        "currency": currency,
        "closedUntil": period.closed_until.isoformat() if period else None,
        "closedAt": period.closed_at.isoformat() if period else None,
    }


def _line(one: dict[str, Any]) -> str:
    return f"{one['currency']}  " + (f"closed until {one['closedUntil']}" if one["closedUntil"] else "open")


@app.command()
def close(
    context: typer.Context,
    currency: Currency,
    until: Annotated[str, typer.Option(help="A moment, or a date, which is part of the period.")],
    reason: Reason,
    zone: Zone = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take nothing more that is said to have happened before.

    Example: nostro period close INR --until 2026-10-31 --tz Asia/Kolkata --reason "October was reported"
    """
    code, moment = currency.strip().upper(), _until(until, zone)

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        return _document(code, await ledger.periods.close(None, code, moment, reason))

    made = with_ledger(context, data_dir, work)
    show(made, as_json, _line(made))


@app.command()
def reopen(
    context: typer.Context,
    currency: Currency,
    reason: Reason,
    until: Annotated[
        str | None, typer.Option(help="Leave it closed for what happened before; without it: open.")
    ] = None,
    zone: Zone = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Open a book again, as a whole or from a moment on.

    Example: nostro period reopen INR --until 2026-09-30 --reason "An invoice was forgotten"
    """
    code, moment = currency.strip().upper(), _until(until, zone) if until else None

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        return _document(code, await ledger.periods.reopen(None, code, moment, reason))

    made = with_ledger(context, data_dir, work)
    show(made, as_json, _line(made))


@app.command("list")
def list_periods(context: typer.Context, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say which books are closed, and how far.

    Example: nostro period list
    """

    async def work(ledger: Ledger, _: Settings) -> list[dict[str, Any]]:
        return [_document(period.currency, period) for period in await ledger.periods.closed()]

    closed = with_ledger(context, data_dir, work)
    show(closed, as_json, "\n".join(_line(one) for one in closed) or "No book is closed.")
