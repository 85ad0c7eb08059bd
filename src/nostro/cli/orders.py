"""`nostro order …`: everybody's standing orders, looked at, paused and cancelled."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from nostro.cli.session import AsJson, DataDir, show, with_ledger
from nostro.domain.errors import InvalidField, NotFound
from nostro.domain.ids import ObjectId, parse_id, show_id
from nostro.domain.money import show_amount
from nostro.domain.standing_order import OrderStatus, Run, StandingOrder
from nostro.ledger.service import Ledger
from nostro.settings import Settings

_RUNS_SHOWN = 20

app = typer.Typer(help="List, show, pause, resume and cancel standing orders.", no_args_is_help=True)

OrderId = Annotated[str, typer.Argument(help="The standing order's id.")]
Act = Callable[[Ledger, ObjectId], Awaitable[StandingOrder]]


def _document(order: StandingOrder) -> dict[str, Any]:
    schedule = order.schedule
    return {
        "_id": show_id(order.id),
        "owner": show_id(order.owner),
        "fromAccount": show_id(order.from_account),
        "toAccount": show_id(order.to_account),
        "amount": show_amount(order.amount, order.currency.exponent),
        "currency": order.currency.code,
        "schedule": _told(order),
        "timeZone": schedule.zone,
        "status": order.status.value,
        "failureCode": order.failure_code,
        "occurrences": order.occurrence - 1,
        "nextRunAt": order.wakes_at.isoformat() if order.wakes_at else None,
    }


def _told(order: StandingOrder) -> str:
    schedule = order.schedule
    if schedule.at is not None:
        return f"at {schedule.at.isoformat()}"
    if schedule.cron is not None:
        return f"cron {schedule.cron}"
    if schedule.every_days is not None:
        return f"every {schedule.every_days} days"
    return f"every {schedule.every_months} months"


def _run_document(run: Run) -> dict[str, Any]:
    return {
        "occurrence": run.occurrence,
        "dueAt": run.due_at.isoformat(),
        "status": run.status.value,
        "attempts": run.attempts,
        "code": run.code,
        "transaction": show_id(run.transaction) if run.transaction is not None else None,
    }


def _line(one: dict[str, Any]) -> str:
    due = one["nextRunAt"] or "-"
    amount = f"{one['amount']:>14} {one['currency']}"
    return f"{one['_id']}  {one['status']:<9}  {amount}  {one['schedule']}  next {due}"


@app.command("list")
def list_orders(
    context: typer.Context,
    email: Annotated[str | None, typer.Option(help="Only those of this user.")] = None,
    status: Annotated[str | None, typer.Option(help="Only those in this state, such as ACTIVE.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List standing orders, newest first.

    Example: nostro order list --email ann@example.com --status ACTIVE
    """
    wanted = _status(status) if status else None

    async def work(ledger: Ledger, _: Settings) -> list[dict[str, Any]]:
        owner = await _owner(ledger, email) if email else None
        page = await ledger.standing_orders.page(owner, status=wanted, limit=limit)
        return [_document(order) for order in page]

    found = with_ledger(context, data_dir, work)
    show(found, as_json, "\n".join(_line(one) for one in found) or "No standing orders.")


def _status(text: str) -> OrderStatus:
    try:
        return OrderStatus(text.upper())
    except ValueError:
        known = ", ".join(status.value for status in OrderStatus)
        raise InvalidField("status", f"must be one of {known}") from None


async def _owner(ledger: Ledger, email: str) -> ObjectId:
    user = await ledger.users.by_email(email)
    if user is None:
        raise NotFound("There is no user with this e-mail address")
    return user.id


@app.command("show")
def show_order(
    context: typer.Context, order: OrderId, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show a standing order and what became of its latest occurrences.

    Example: nostro order show 6742f0a1b2c3d4e5f6071829
    """
    wanted = parse_id(order, "order")

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        found = await ledger.standing_orders.by_id(wanted, None)
        runs = await ledger.standing_orders.runs(wanted, None, before=None, limit=_RUNS_SHOWN)
        return _document(found) | {"runs": [_run_document(run) for run in runs]}

    one = with_ledger(context, data_dir, work)
    lines = [
        f"  {run['occurrence']:>6}  {run['dueAt']}  {run['status']:<9}  {run['code'] or run['transaction']}"
        for run in one["runs"]
    ]
    show(one, as_json, "\n".join([_line(one), *lines]))


@app.command()
def pause(context: typer.Context, order: OrderId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Pause a standing order: what falls due is skipped until it is resumed.

    Example: nostro order pause 6742f0a1b2c3d4e5f6071829
    """
    _act(context, order, data_dir, as_json, lambda ledger, one: ledger.standing_orders.pause(one, None))


@app.command()
def resume(context: typer.Context, order: OrderId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Go on with a paused standing order, from the next time it is due.

    Example: nostro order resume 6742f0a1b2c3d4e5f6071829
    """
    _act(context, order, data_dir, as_json, lambda ledger, one: ledger.standing_orders.resume(one, None))


@app.command()
def cancel(context: typer.Context, order: OrderId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Cancel a standing order for good.

    Example: nostro order cancel 6742f0a1b2c3d4e5f6071829
    """
    _act(context, order, data_dir, as_json, lambda ledger, one: ledger.standing_orders.cancel(one, None))


def _act(context: typer.Context, order: str, data_dir: Path | None, as_json: bool, act: Act) -> None:
    wanted = parse_id(order, "order")

    async def work(ledger: Ledger, _: Settings) -> dict[str, Any]:
        return _document(await act(ledger, wanted))

    one = with_ledger(context, data_dir, work)
    show(one, as_json, _line(one))
