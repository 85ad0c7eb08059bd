"""`nostro transfer`: move money by hand, by the same rules as over HTTP."""

import secrets
from typing import Annotated, Any

import typer

from nostro.cli.session import AsJson, DataDir, show, with_ledger
from nostro.domain.errors import SameAccount
from nostro.domain.ids import parse_id, show_id
from nostro.domain.money import parse_amount, show_amount
from nostro.domain.transaction import valid_key
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
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Move money between two accounts, on behalf of the paying account's owner.

    Example: nostro transfer --from 6742f0a1b2c3d4e5f6071829 --to 6742f0a1b2c3d4e5f607182a --amount 10.50
    """
    from_account, to_account = parse_id(source, "from"), parse_id(target, "to")
    if from_account == to_account:
        raise SameAccount
    wanted = parse_amount(amount)
    used_key = valid_key(key) if key else f"cli-{secrets.token_hex(12)}"

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        owner = (await ledger.accounts.by_id(from_account)).owner
        posted = await ledger.transfers.transfer(
            # No token: whoever may read the data directory acts for every owner.
            Claims(owner, b"", float("inf"), float("inf")),
            key=used_key,
            from_account=from_account,
            to_account=to_account,
            amount=wanted,
        )
        moved = posted.transaction
        return {
            "_id": show_id(moved.id),
            "fromAccount": show_id(moved.from_account),
            "toAccount": show_id(moved.to_account),
            "amount": show_amount(moved.amount, moved.exponent),
            "currency": moved.currency,
            "status": moved.status.value,
            "idempotencyKey": moved.key,
            "replayed": posted.replayed,
        }

    made = with_ledger(context, data_dir, work)
    again = " (it had been moved before under this key)" if made["replayed"] else ""
    show(
        made,
        as_json,
        f"Moved {made['amount']} {made['currency']}, transaction {made['_id']}, key {used_key}{again}",
    )
