"""`nostro user …`: the only way to make a system user, an operator or an auditor."""

import sys
from typing import Annotated, Any

import typer

from nostro.cli.session import AsJson, DataDir, show, with_ledger
from nostro.domain.errors import NotFound
from nostro.domain.ids import show_id
from nostro.domain.user import Role
from nostro.ledger.resets import PasswordResets
from nostro.ledger.service import Ledger
from nostro.settings import Settings, jwt_secret
from nostro.store.users import User

FROM_STANDARD_INPUT = "-"

app = typer.Typer(help="Create and list users.", no_args_is_help=True)


def _document(user: User) -> dict[str, Any]:
    return {
        "_id": show_id(user.id),
        "email": user.email,
        "name": user.name,
        "role": user.role.value,
        "systemUser": user.role is Role.SYSTEM,
    }


@app.command()
def create(
    context: typer.Context,
    email: Annotated[str, typer.Option(help="Their e-mail address, which they log in with.")],
    name: Annotated[str, typer.Option(help="Their name.")],
    password: Annotated[str, typer.Option(help="Their password; `-` reads one line from standard input.")],
    system: Annotated[
        bool, typer.Option("--system", help="Brings money in; gets a settlement account.")
    ] = False,
    operator: Annotated[bool, typer.Option("--operator", help="May freeze and unfreeze accounts.")] = False,
    auditor: Annotated[bool, typer.Option("--auditor", help="May look at everything.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Create a user; a system user gets its settlement account at once.

    Example: nostro user create --email system@example.com --name System --password - --system --json
    """
    roles = [
        role
        for role, asked in ((Role.SYSTEM, system), (Role.OPERATOR, operator), (Role.AUDITOR, auditor))
        if asked
    ]
    if len(roles) > 1:
        raise typer.BadParameter("A user has one role: --system, --operator or --auditor.")
    secret = sys.stdin.readline().rstrip("\n") if password == FROM_STANDARD_INPUT else password

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        user = await ledger.users.register(email, secret, name, roles[0] if roles else Role.CUSTOMER)
        owned = await ledger.accounts.of(user.id)
        return _document(user) | {
            "accounts": [{"_id": show_id(row.id), "currency": row.currency.code} for row in owned]
        }

    made = with_ledger(context, data_dir, work)
    accounts = "".join(f", settlement account {a['_id']} in {a['currency']}" for a in made["accounts"])
    show(made, as_json, f"Created {made['role'].lower()} user {made['_id']} ({made['email']}){accounts}")


@app.command("list")
def list_users(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List users in the order they registered.

    Example: nostro user list --limit 20
    """

    async def work(ledger: Ledger, _: Settings) -> list[dict[str, Any]]:
        return [_document(user) for user in await ledger.users.everyone(limit)]

    people = with_ledger(context, data_dir, work)
    lines = [f"{one['_id']}  {one['role']:<8}  {one['email']}  {one['name']}" for one in people]
    show(people, as_json, "\n".join(lines) or "No users yet.")


@app.command("reset-token")
def reset_token(
    context: typer.Context,
    email: Annotated[str, typer.Option(help="Their e-mail address.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a token with which a user sets a new password, once and within 30 minutes.

    They send it to POST /api/auth/reset-password with their e-mail address and the new password.

    Example: nostro user reset-token --email ann@example.com
    """

    async def work(ledger: Ledger, settings: Settings) -> dict[str, str]:
        resets = PasswordResets(ledger.database, ledger.users.passwords, jwt_secret(settings))
        token = await resets.link_token(await resets.ask(email))
        if token is None:
            raise NotFound("There is no user with this e-mail address")
        return {"email": email, "token": token}

    made = with_ledger(context, data_dir, work)
    show(made, as_json, made["token"])
