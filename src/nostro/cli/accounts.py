"""`nostro account …`: what is in the accounts, and their status."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import typer

from nostro.cli.session import AsJson, DataDir, show, with_ledger
from nostro.domain.details import Details, valid_description, valid_metadata, valid_reference
from nostro.domain.errors import NotFound
from nostro.domain.ids import parse_id, show_id
from nostro.domain.money import show_amount
from nostro.ledger.accounts import parse_status
from nostro.ledger.service import Ledger
from nostro.ledger.users import valid_name
from nostro.settings import Settings
from nostro.store.accounts import AccountRow
from nostro.store.trail import AccountEvent

app = typer.Typer(help="Open, list, show and describe accounts; change their status.", no_args_is_help=True)

Name = Annotated[str | None, typer.Option(help="A name for the account.")]
Description = Annotated[str | None, typer.Option(help="What it is for, in up to 500 characters.")]
Reference = Annotated[str | None, typer.Option(help="A name of your own to find it by.")]
Metadata = Annotated[str | None, typer.Option(help="A JSON object.")]

_RULES: dict[str, Callable[[str], str | None]] = {
    "name": valid_name,
    "description": valid_description,
    "reference": valid_reference,
    "metadata": valid_metadata,
}


def _document(row: AccountRow) -> dict[str, Any]:
    return {
        "_id": show_id(row.id),
        "user": show_id(row.owner),
        "name": row.name,
        "description": row.description,
        "reference": row.reference,
        "metadata": msgspec.Raw(row.metadata.encode()) if row.metadata else None,
        "status": row.status.value,
        "currency": row.currency.code,
        "balance": show_amount(row.balance, row.currency.exponent),
        "available": show_amount(row.balance - row.held, row.currency.exponent),
        "systemAccount": row.settlement,
    }


def _details(name: str | None, description: str | None, reference: str | None, metadata: str | None) -> Details:
    """Those that were given; an empty text takes one away."""
    texts = {"name": name, "description": description, "reference": reference, "metadata": metadata}
    return {
        detail: _RULES[detail](text) if text else None for detail, text in texts.items() if text is not None
    }


def _line(one: dict[str, Any]) -> str:
    return f"{one['_id']}  {one['status']:<8}  {one['balance']:>20} {one['currency']}  of {one['user']}"


@app.command("open")
def open_account(
    context: typer.Context,
    email: Annotated[str, typer.Option(help="The owner's e-mail address.")],
    currency: Annotated[str | None, typer.Option(help="Its code (default NOSTRO_CURRENCY).")] = None,
    name: Name = None,
    description: Description = None,
    reference: Reference = None,
    metadata: Metadata = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Open an account for a user; a system user's is its settlement account in that currency.

    Example: nostro account open --email system@example.com --currency USD
    """
    given = _details(name, description, reference, metadata)

    async def work(ledger: Ledger, settings: Settings) -> dict[str, Any]:
        owner = await ledger.users.by_email(email)
        if owner is None:
            raise NotFound("There is no user with this e-mail address")
        wanted = await ledger.currencies.of(currency or settings.currency)
        row = await ledger.accounts.open(owner, wanted, given)
        return _document(row)

    made = with_ledger(context, data_dir, work)
    show(made, as_json, f"Opened {_line(made)}")


@app.command("list")
def list_accounts(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List accounts in the order they were opened, with their balances.

    Example: nostro account list --limit 20
    """

    async def work(ledger: Ledger, _: Settings) -> list[dict[str, Any]]:
        return [_document(row) for row in await ledger.accounts.all(limit=limit, skip=0)]

    rows = with_ledger(context, data_dir, work)
    show(rows, as_json, "\n".join(_line(row) for row in rows) or "No accounts yet.")


@app.command("show")
def show_account(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="The account's id.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one account.

    Example: nostro account show 6742f0a1b2c3d4e5f6071829
    """

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        return _document(await ledger.accounts.by_id(parse_id(account, "account")))

    row = with_ledger(context, data_dir, work)
    show(row, as_json, _line(row))


@app.command("edit")
def change_details(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="The account's id.")],
    name: Name = None,
    description: Description = None,
    reference: Reference = None,
    metadata: Metadata = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change what is said of an account; an empty text takes it away.

    Example: nostro account edit 6742f0a1b2c3d4e5f6071829 --reference FLAT-12 --metadata '{"rooms": 2}'
    """
    given = _details(name, description, reference, metadata)

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        return _document(await ledger.accounts.change_details(None, parse_id(account, "account"), given))

    row = with_ledger(context, data_dir, work)
    show(row, as_json, _line(row))


@app.command("status")
def change_status(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="The account's id.")],
    status: Annotated[str, typer.Argument(help="ACTIVE, INACTIVE, FROZEN, BLOCKED or CLOSED.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the journal.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change an account's status; the reason stays in the journal.

    Example: nostro account status 6742f0a1b2c3d4e5f6071829 FROZEN --reason "card stolen"
    """

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        row = await ledger.accounts.change_status(
            None, parse_id(account, "account"), parse_status(status), reason
        )
        return _document(row)

    row = with_ledger(context, data_dir, work)
    show(row, as_json, _line(row))


@app.command("events")
def account_events(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="The account's id.")],
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List what was changed about an account, by whom and why, newest first; amounts in minor units.

    Example: nostro account events 6742f0a1b2c3d4e5f6071829
    """

    async def work(ledger: Ledger, _: Settings) -> list[dict[str, Any]]:
        row = await ledger.accounts.by_id(parse_id(account, "account"))
        return [_event(event) for event in await ledger.accounts.events(row.id, limit=limit, skip=0)]

    events = with_ledger(context, data_dir, work)
    show(events, as_json, "\n".join(_event_line(event) for event in events))


def _event(event: AccountEvent) -> dict[str, Any]:
    return {
        "position": event.position,
        "kind": event.kind,
        "createdAt": event.created_at.isoformat(timespec="milliseconds"),
        "actor": show_id(event.actor) if event.actor else None,
        "details": event.details,
    }


def _event_line(event: dict[str, Any]) -> str:
    details = ", ".join(f"{name} {bytes(value).decode()}" for name, value in event["details"].items())
    return f"{event['createdAt']}  {event['kind']}  by {event['actor'] or 'the command line'}: {details}"
