"""`nostro transfer`: move money by hand, by the same rules as over HTTP."""

import secrets
from typing import Annotated, Any

import typer

from nostro.cli.session import AsJson, DataDir, show, with_ledger
from nostro.cli.transactions import plain_document
from nostro.domain.details import valid_description, valid_reference
from nostro.domain.errors import InvalidField, SameAccount
from nostro.domain.ids import parse_id
from nostro.domain.money import parse_amount
from nostro.domain.requests import LONGEST_HOLD_S, PLAIN, Terms
from nostro.domain.transaction import Notes, valid_key
from nostro.domain.user import Claims
from nostro.ledger.service import Ledger
from nostro.settings import Settings


def transfer(
    context: typer.Context,
    source: Annotated[str, typer.Option("--from", help="The paying account's id.")],
    target: Annotated[str, typer.Option("--to", help="The receiving account's id.")],
    amount: Annotated[str, typer.Option(help="In major units, such as 10.50.")],
    key: Annotated[
        str | None, typer.Option(help="Idempotency key; repeat a command whose end you did not see with it.")
    ] = None,
    hold: Annotated[bool, typer.Option("--hold", help="Only set the money aside.")] = False,
    expires_in: Annotated[
        int | None, typer.Option(min=1, max=LONGEST_HOLD_S, help="With --hold: seconds until it expires.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
    reference: Annotated[str | None, typer.Option(help="A name of your own to find it by.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Move money between two accounts, or set it aside, on behalf of the paying account's owner.

    Example: nostro transfer --from 6742f0a1b2c3d4e5f6071829 --to 6742f0a1b2c3d4e5f607182a --amount 10.50
    """
    from_account, to_account = parse_id(source, "from"), parse_id(target, "to")
    if from_account == to_account:
        raise SameAccount
    wanted = parse_amount(amount)
    used_key = valid_key(key) if key else f"cli-{secrets.token_hex(12)}"
    if expires_in is not None and not hold:
        raise InvalidField("--expires-in", "is for a hold")
    notes = Notes(
        valid_description(description) if description else None,
        valid_reference(reference) if reference else None,
    )
    terms = Terms(hold=hold, expires_in_s=expires_in, notes=notes)

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        owner = (await ledger.accounts.by_id(from_account)).owner
        posted = await ledger.transfers.transfer(
            # No token: whoever may read the data directory acts for every owner.
            Claims(owner, b"", float("inf"), float("inf")),
            key=used_key,
            from_account=from_account,
            to_account=to_account,
            amount=wanted,
            terms=PLAIN if terms == PLAIN else terms,
        )
        return plain_document(posted.transaction) | {"replayed": posted.replayed}

    made = with_ledger(context, data_dir, work)
    done = "Set aside" if hold else "Moved"
    again = " (it had been done before under this key)" if made["replayed"] else ""
    show(
        made,
        as_json,
        f"{done} {made['amount']} {made['currency']}, transaction {made['_id']}, key {used_key}{again}",
    )
