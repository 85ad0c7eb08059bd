"""`nostro …`: the command tree, and how a failure is told."""

import json
import sys
from typing import Annotated

import typer

from nostro import __version__
from nostro.cli import (
    accounts,
    bench,
    currencies,
    followers,
    limits,
    mail,
    orders,
    periods,
    rates,
    reports,
    statements,
    transactions,
    transfers,
    users,
    verify,
    webhooks,
)
from nostro.cli.session import AsJson, DataDir, Runtime
from nostro.domain.errors import NostroError
from nostro.embedded import EmbeddedError
from nostro.mail_settings import mail_mode
from nostro.settings import SettingsError, load_settings
from nostro.store.migrate import MigrationError
from nostro.workers import WorkersError

app = typer.Typer(
    name="nostro",
    help="Nostro, an open double-entry ledger service.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(users.app, name="user")
accounts.app.command("limits")(limits.limits)
app.add_typer(accounts.app, name="account")
app.add_typer(currencies.app, name="currency")
app.add_typer(rates.app, name="rate")
app.add_typer(orders.app, name="order")
app.add_typer(followers.app, name="followers")
app.add_typer(transactions.app, name="transaction")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(periods.app, name="period")
app.add_typer(reports.app, name="report")
app.command("statement")(statements.statement)
app.add_typer(mail.app, name="mail")
app.command("transfer")(transfers.transfer)
app.command("verify")(verify.verify)
app.command("bench")(bench.bench)


@app.command()
def serve(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(help="0 picks a free port (default 3000, or PORT).")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (default 127.0.0.1, or HOST).")] = None,
    data_dir: DataDir = None,
    workers: Annotated[int | None, typer.Option(help="API processes (default 1, or NOSTRO_WORKERS).")] = None,
) -> None:
    """Serve the API until Ctrl-C.

    Example: nostro serve --port 3000 --data-dir ./var
    """
    runtime: Runtime = context.obj
    settings = load_settings(port=port, host=host, data_dir=data_dir, workers=workers)
    runtime.run(runtime.serve(settings))  # type: ignore[arg-type]


@app.command()
def config(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show every setting as it is in force, secrets masked.

    Example: nostro config --json
    """
    settings = load_settings(data_dir=data_dir)
    shown = settings.shown() | {"NOSTRO_MAIL": mail_mode(settings).value}
    print(json.dumps(shown, indent=2) if as_json else "\n".join(f"{k}={v}" for k, v in shown.items()))


@app.command()
def version() -> None:
    """Print the version.

    Example: nostro version
    """
    print(__version__)


def command_line(runtime: Runtime) -> int:
    """Run the command in sys.argv; it ends the process with 0 (done) or 2 (not understood).

    Returns 1 when the ledger, the settings or the database refused; SystemExit carries everything else.
    """
    try:
        app(obj=runtime)
    except (NostroError, SettingsError, EmbeddedError, MigrationError, WorkersError) as error:
        return _refused(error)
    return 0


def _refused(error: Exception) -> int:
    code = error.code if isinstance(error, NostroError) else "not_possible"
    if "--json" in sys.argv:
        print(json.dumps({"code": code, "message": str(error)}))
    print(f"nostro: {error} ({code})", file=sys.stderr)
    return 1
