"""`nostro statement`: what happened to an account in a period."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nostro.cli.session import DataDir, with_ledger
from nostro.domain.ids import parse_id
from nostro.domain.moments import parse_bound
from nostro.ledger.calendar import period_of, zone_of
from nostro.ledger.service import Ledger
from nostro.ledger.statement_csv import csv_of
from nostro.settings import Settings


def statement(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="The account's id.")],
    since: Annotated[str, typer.Option("--from", help="A moment, or a date: its beginning.")],
    until: Annotated[str, typer.Option("--to", help="A moment, or a date: its end.")],
    form: Annotated[str, typer.Option("--format", help="csv or pdf.")] = "csv",
    zone: Annotated[
        str | None, typer.Option("--tz", help="The time zone whose days dates are (default UTC).")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write it to this file (default: standard output).")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write the statement of an account: opening balance, every line, closing balance.

    Example: nostro statement 6742f0a1b2c3d4e5f6071829 --from 2026-11-01 --to 2026-11-30 --format csv
    """
    if form not in {"csv", "pdf"}:
        raise typer.BadParameter("--format is csv or pdf.")
    wanted = parse_id(account, "account")
    used = zone_of(zone)
    period = period_of(parse_bound(since, "from"), parse_bound(until, "to"), used)

    async def work(ledger: Ledger, _: Settings) -> bytes:
        found = await ledger.statements.of(None, wanted, period, used)
        if form == "pdf":
            return await ledger.typesetter.pdf_of(found, await ledger.statements.whole(found))
        return "".join([piece async for piece in csv_of(found, ledger.statements.lines(found))]).encode()

    written = with_ledger(context, data_dir, work)
    if output is None:
        sys.stdout.buffer.write(written)
        sys.stdout.buffer.flush()
    else:
        output.write_bytes(written)
