"""`nostro transaction …`: look at one; capture, void, extend or reverse it, by the same rules as over HTTP."""

import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from nostro.cli.session import AsJson, DataDir, show, with_ledger
from nostro.domain.details import valid_description
from nostro.domain.errors import NotFound
from nostro.domain.ids import ObjectId, parse_id, show_id
from nostro.domain.money import parse_amount, show_amount
from nostro.domain.requests import LONGEST_HOLD_S
from nostro.domain.transaction import NO_NOTES, Kind, Notes, Operation, Transaction, valid_key
from nostro.domain.user import Claims
from nostro.ledger.follow_ups import follow_up_request
from nostro.ledger.service import Ledger
from nostro.settings import Settings

app = typer.Typer(help="Look at a transaction; capture, void, extend or reverse it.", no_args_is_help=True)

TransactionId = Annotated[str, typer.Argument(help="The transaction's id.")]
Amount = Annotated[
    str | None, typer.Option(help="In major units, such as 10.50; all that is left unless given.")
]
Key = Annotated[
    str | None, typer.Option(help="Idempotency key; repeat a command whose end you did not see with it.")
]
As = Annotated[
    str | None,
    typer.Option("--as", help="E-mail of the user to act for; else the payer, or for a reversal the receiver."),
]


def plain_document(transaction: Transaction) -> dict[str, Any]:
    """As the commands print it: amounts as text."""
    document: dict[str, Any] = {
        "_id": show_id(transaction.id),
        "kind": transaction.kind.value,
        "fromAccount": show_id(transaction.from_account),
        "toAccount": show_id(transaction.to_account),
        "amount": show_amount(transaction.amount, transaction.exponent),
        "currency": transaction.currency,
        "status": transaction.status.value,
        "idempotencyKey": transaction.key,
        "createdAt": transaction.created_at.isoformat(),
    }
    if transaction.kind is Kind.HOLD:
        document["held"] = show_amount(transaction.left, transaction.exponent)
        document["expiresAt"] = transaction.expires_at.isoformat() if transaction.expires_at else None
    if transaction.reversed:
        document["reversed"] = show_amount(transaction.reversed, transaction.exponent)
    return document


@app.command("show")
def show_transaction(
    context: typer.Context, transaction: TransactionId, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show a transaction and what became of it.

    Example: nostro transaction show 6742f0a1b2c3d4e5f6071829
    """
    wanted = parse_id(transaction, "transaction")

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        seen = (await ledger.transfers.by_id(wanted, None)).transaction
        related = await ledger.transfers.about(seen)
        return plain_document(seen) | {"related": [plain_document(one) for one in related]}

    found = with_ledger(context, data_dir, work)
    lines = [found, *found["related"]]
    show(found, as_json, "\n".join(_line(one) for one in lines))


def _line(one: dict[str, Any]) -> str:
    return f"{one['_id']}  {one['kind']:<13}  {one['amount']:>14} {one['currency']}  {one['status']}"


@app.command()
def capture(
    context: typer.Context,
    transaction: TransactionId,
    amount: Amount = None,
    final: Annotated[bool, typer.Option("--final", help="Let the rest go.")] = False,
    key: Key = None,
    acting_for: As = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Move what a hold holds, all of it or a part.

    Example: nostro transaction capture 6742f0a1b2c3d4e5f6071829 --amount 10.50 --final
    """
    wishes = {"amount": parse_amount(amount) if amount else None, "final": final}
    _follow_up(context, Operation.CAPTURE, transaction, key, acting_for, data_dir, as_json, wishes)


@app.command()
def void(
    context: typer.Context,
    transaction: TransactionId,
    key: Key = None,
    acting_for: As = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let go what is left of a hold.

    Example: nostro transaction void 6742f0a1b2c3d4e5f6071829
    """
    _follow_up(context, Operation.VOID, transaction, key, acting_for, data_dir, as_json, {})


@app.command()
def extend(
    context: typer.Context,
    transaction: TransactionId,
    expires_in: Annotated[int, typer.Option(min=1, max=LONGEST_HOLD_S, help="Seconds from now.")],
    key: Key = None,
    acting_for: As = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a hold expire at another time.

    Example: nostro transaction extend 6742f0a1b2c3d4e5f6071829 --expires-in 604800
    """
    wishes = {"expires_in_s": expires_in}
    _follow_up(context, Operation.EXTEND, transaction, key, acting_for, data_dir, as_json, wishes)


@app.command()
def reverse(
    context: typer.Context,
    transaction: TransactionId,
    amount: Amount = None,
    reason: Annotated[str | None, typer.Option(help="Kept as the reversal's description.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even if the receiver has spent it; with --as an operator.")
    ] = False,
    key: Key = None,
    acting_for: As = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a movement flow back, all of it or a part.

    Example: nostro transaction reverse 6742f0a1b2c3d4e5f6071829 --amount 5 --reason "Broken on arrival"
    """
    wishes = {
        "amount": parse_amount(amount) if amount else None,
        "force": force,
        "notes": Notes(valid_description(reason)) if reason else NO_NOTES,
    }
    _follow_up(context, Operation.REVERSE, transaction, key, acting_for, data_dir, as_json, wishes)


def _follow_up(
    context: typer.Context,
    operation: Operation,
    transaction: str,
    key: str | None,
    acting_for: str | None,
    data_dir: Path | None,
    as_json: bool,
    wishes: dict[str, Any],
) -> None:
    wanted = parse_id(transaction, "transaction")
    used_key = valid_key(key) if key else f"cli-{secrets.token_hex(12)}"

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        user = await _user_to_act_for(ledger, operation, wanted, acting_for)
        # No token: whoever may read the data directory acts for everybody.
        claims = Claims(user, b"", float("inf"), float("inf"))
        request = follow_up_request(operation, claims, wanted, key=used_key, **wishes)
        posted = await ledger.follow_ups.ask(request)
        return plain_document(posted.transaction) | {"replayed": posted.replayed}

    done = with_ledger(context, data_dir, work)
    again = " (it had been done before under this key)" if done["replayed"] else ""
    show(done, as_json, f"{_line(done)}  key {used_key}{again}")


async def _user_to_act_for(
    ledger: Ledger, operation: Operation, transaction: ObjectId, email: str | None
) -> ObjectId:
    if email is not None:
        user = await ledger.users.by_email(email)
        if user is None:
            raise NotFound(f"There is no user {email}")
        return user.id
    seen = await ledger.transfers.by_id(transaction, None)
    return seen.to_owner if operation is Operation.REVERSE else seen.from_owner
