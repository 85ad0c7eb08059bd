"""`nostro rate …`: at which rates system users exchange."""

from typing import Annotated, Any

import typer

from nostro.cli.session import AsJson, DataDir, show, with_ledger
from nostro.domain.errors import NotFound
from nostro.domain.ids import show_id
from nostro.domain.money import parse_rate, show_rate
from nostro.ledger.service import Ledger
from nostro.settings import Settings
from nostro.store.currencies import RateRow

app = typer.Typer(help="List exchange rates, and set those of a system user.", no_args_is_help=True)


def _document(row: RateRow) -> dict[str, Any]:
    return {
        "base": row.base,
        "quote": row.quote,
        "rate": show_rate(row.rate),
        "maker": show_id(row.maker),
        "updatedAt": row.updated_at.isoformat(timespec="milliseconds"),
    }


def _line(one: dict[str, Any]) -> str:
    return f"1 {one['base']} = {one['rate']} {one['quote']}  by {one['maker']} since {one['updatedAt']}"


@app.command("list")
def list_rates(context: typer.Context, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all rates in force.

    Example: nostro rate list
    """

    async def work(ledger: Ledger, _: Settings) -> list[dict[str, Any]]:
        return [_document(row) for row in await ledger.rates.all()]

    rows = with_ledger(context, data_dir, work)
    show(rows, as_json, "\n".join(_line(row) for row in rows) or "No rates yet.")


@app.command("set")
def set_rate(
    context: typer.Context,
    base: Annotated[str, typer.Argument(help="The currency that is paid.")],
    quote: Annotated[str, typer.Argument(help="The currency that arrives.")],
    rate: Annotated[str, typer.Argument(help="Units of the second for one of the first.")],
    email: Annotated[str, typer.Option(help="The system user who exchanges.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a system user exchange at a rate, from its settlement accounts in both currencies.

    Example: nostro rate set INR USD 0.0119 --email system@example.com
    """
    wanted = parse_rate(rate)

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        maker = await ledger.users.by_email(email)
        if maker is None:
            raise NotFound("There is no user with this e-mail address")
        return _document(await ledger.rates.set(maker, base, quote, wanted))

    made = with_ledger(context, data_dir, work)
    show(made, as_json, _line(made))
