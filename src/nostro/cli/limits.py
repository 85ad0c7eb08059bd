"""`nostro account limits`: what an account may have and pay."""

from typing import Annotated, Any

import typer

from nostro.cli.session import AsJson, DataDir, show, with_ledger
from nostro.domain.errors import MissingField
from nostro.domain.ids import parse_id, show_id
from nostro.domain.money import show_amount
from nostro.ledger.limits import Limit, parse_limit
from nostro.ledger.service import Ledger
from nostro.settings import Settings
from nostro.store.accounts import AccountRow
from nostro.store.limits import Bounds, LimitsRow

_Amount = Annotated[str | None, typer.Option(help="An amount, or `none`.", metavar="AMOUNT")]


def limits(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="The account's id.")],
    floor: Annotated[str | None, typer.Option(help="The least it may have; -500 is an overdraft.")] = None,
    ceiling: _Amount = None,
    single: _Amount = None,
    daily: _Amount = None,
    monthly: _Amount = None,
    hourly: Annotated[str | None, typer.Option(help="How many transfers, or `none`.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the journal. Needed to set a limit.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what an account may have and pay, or set it; what is not named stays as it is.

    Example: nostro account limits 6742f0a1b2c3d4e5f6071829 --floor -500 --daily 2000 --reason "by letter"
    """
    texts = zip(Bounds._fields, (floor, ceiling, single, daily, monthly, hourly), strict=True)
    wishes = {name: _limit(text, name) for name, text in texts if text is not None}
    if wishes and reason is None:
        raise MissingField("reason")

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        wanted = parse_id(account, "account")
        if not wishes:
            return _limits_document(*await ledger.limits.of(wanted, None))
        return _limits_document(*await ledger.limits.set(None, wanted, wishes, reason or ""))

    found = with_ledger(context, data_dir, work)
    lines = [f"{name:<8} {value if value is not None else 'none'}" for name, value in found["limits"].items()]
    show(found, as_json, "\n".join(lines))


def _limit(text: str, name: str) -> Limit | None:
    return None if text == "none" else parse_limit(text, name)


def _limits_document(row: AccountRow, found: LimitsRow) -> dict[str, Any]:
    def shown(name: str, value: int | None) -> str | int | None:
        return value if value is None or name == "hourly" else show_amount(value, row.currency.exponent)

    return {
        "_id": show_id(row.id),
        "currency": row.currency.code,
        "limits": {name: shown(name, value) for name, value in found.bounds._asdict().items()},
        "used": {name: shown(name, usage.used) for name, usage in found.usage.items()},
    }
