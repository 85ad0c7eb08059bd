"""`nostro currency …`: the currencies there are, and assets that ISO 4217 does not know."""

from typing import Annotated, Any

import typer

from nostro.cli.session import AsJson, DataDir, show, with_ledger
from nostro.ledger.currencies import MOST_PLACES
from nostro.ledger.service import Ledger
from nostro.settings import Settings

app = typer.Typer(help="List currencies, and register assets of your own.", no_args_is_help=True)


def _line(one: dict[str, Any]) -> str:
    origin = "registered here" if one["custom"] else "ISO 4217"
    return f"{one['code']:<12}  {one['exponent']:>2} places  {origin:<15}  {one['name'] or ''}"


@app.command("list")
def list_currencies(context: typer.Context, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the currencies that accounts may be opened in.

    Example: nostro currency list --json
    """

    async def work(ledger: Ledger, _: Settings) -> list[dict[str, Any]]:
        return [row._asdict() for row in await ledger.currencies.all()]

    rows = with_ledger(context, data_dir, work)
    show(rows, as_json, "\n".join(_line(row) for row in rows))


@app.command("register")
def register_currency(
    context: typer.Context,
    code: Annotated[str, typer.Argument(help="3 to 12 letters and digits, not one of ISO 4217.")],
    exponent: Annotated[int, typer.Option(min=0, max=MOST_PLACES, help="Decimal places, for ever.")],
    name: Annotated[str, typer.Option(help="What it is.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Register an asset of your own; its decimal places never change.

    Example: nostro currency register POINTS --exponent 0 --name "Loyalty points"
    """

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        return (await ledger.currencies.register(None, code, exponent, name))._asdict()

    made = with_ledger(context, data_dir, work)
    show(made, as_json, f"Registered {_line(made)}")
