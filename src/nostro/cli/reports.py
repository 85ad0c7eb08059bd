"""`nostro report …`: what all books together say."""

from typing import Annotated, Any

import typer

from nostro.cli.session import AsJson, DataDir, show, with_ledger
from nostro.domain.moments import parse_inclusive
from nostro.domain.money import show_amount
from nostro.ledger.reports import Balances, Grouping
from nostro.ledger.service import Ledger
from nostro.settings import Settings
from nostro.store.reports import Cut, Sum

app = typer.Typer(help="Reports on all books.", no_args_is_help=True)


@app.callback()
def _reports() -> None:
    """A group of commands, also while it has one only."""


@app.command("trial-balance")
def trial_balance(
    context: typer.Context,
    at: Annotated[str | None, typer.Option(help="As recorded by this moment, with its offset.")] = None,
    position: Annotated[int | None, typer.Option(min=0, help="As far as this position.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Add up what accounts are below zero and above it; exits with 1 when the two are not equal.

    Example: nostro report trial-balance --at 2026-10-31T23:59:59Z
    """
    if at is not None and position is not None:
        raise typer.BadParameter("One of --at and --position is enough.")
    cut = Cut(parse_inclusive(at, "at") if at else None, position)

    async def work(ledger: Ledger, _: Settings) -> Balances:
        return await ledger.reports.balances(None, Grouping.KIND, cut)

    found = with_ledger(context, data_dir, work)
    rows = [_row(one) for one in found.sums]
    differences = _differences(found.sums)
    document = {
        "position": found.position,
        "at": found.at.isoformat() if found.at else None,
        "balanced": not any(differences.values()),
        "sums": rows,
    }
    show(document, as_json, _text(document))
    if not document["balanced"]:
        raise typer.Exit(1)


def _row(one: Sum) -> dict[str, Any]:
    return {
        "currency": one.currency.code,
        "kind": "SETTLEMENT" if one.settlement else "CUSTOMER",
        "accounts": one.accounts,
        "debits": show_amount(one.debits, one.currency.exponent),
        "credits": show_amount(one.credits, one.currency.exponent),
    }


def _differences(sums: list[Sum]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in sums:
        code = one.currency.code
        found[code] = found.get(code, 0) + one.credits - one.debits
    return found


def _text(document: dict[str, Any]) -> str:
    lines = [f"{'':<5}{'':<12}{'accounts':>10}{'debits':>24}{'credits':>24}"]
    lines += [
        f"{one['currency']:<5}{one['kind']:<12}{one['accounts']:>10}{one['debits']:>24}{one['credits']:>24}"
        for one in document["sums"]
    ]
    where = f"at {document['at']}" if document["at"] else f"at position {document['position']}"
    lines.append(f"The books {'balance' if document['balanced'] else 'do NOT balance'} {where}.")
    return "\n".join(lines)
