"""`nostro followers …`: what happens after a commit, how far it has come, and what to do when it does not."""

from typing import Annotated, Any

import typer

from nostro.cli.session import AsJson, DataDir, show, with_ledger
from nostro.domain.delivery import delivery_id
from nostro.domain.event import shown_time
from nostro.ledger.service import Ledger
from nostro.settings import Settings
from nostro.store.followers import FailedDelivery, FollowerState

app = typer.Typer()

Name = Annotated[str, typer.Argument(help="The follower, as `nostro followers` calls it.")]


@app.callback(invoke_without_command=True)
def followers(context: typer.Context, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show where every follower stands, what waits and what was set aside; replay, send again.

    Example: nostro followers --json
    """
    if context.invoked_subcommand is not None:
        return

    async def work(ledger: Ledger, _: Settings) -> list[FollowerState]:
        return await ledger.following.states()

    states = with_ledger(context, data_dir, work)
    lines = [_HEADINGS, *(_line(state) for state in states)]
    show([_state(one) for one in states], as_json, "\n".join(lines) if states else "No follower has run yet.")


_HEADINGS = (
    f"{'follower':<16} {'position':>10} {'behind':>8} {'age':>8} {'pending':>8} {'set aside':>9}  last error"
)


def _line(state: FollowerState) -> str:
    age = f"{state.behind_s:.0f} s" if state.behind_s is not None else "-"
    return (
        f"{state.name:<16} {state.position:>10} {state.behind:>8} {age:>8} {state.pending:>8} "
        f"{state.set_aside:>9}  {state.last_error or '-'}"
    )


def _state(state: FollowerState) -> dict[str, Any]:
    return {
        "name": state.name,
        "position": state.position,
        "behind": state.behind,
        "behindSeconds": state.behind_s,
        "pending": state.pending,
        "setAside": state.set_aside,
        "holder": state.holder,
        "lastError": state.last_error,
        "failedAt": shown_time(state.failed_at) if state.failed_at else None,
    }


@app.command()
def replay(
    context: typer.Context,
    name: Name,
    position: Annotated[int, typer.Option("--from", help="The first position to take in again.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take the journal in again from a position on: what follows is delivered once more, under the same ids.

    Example: nostro followers replay webhooks --from 1200
    """

    async def work(ledger: Ledger, _: Settings) -> None:
        await ledger.following.replay(name, position - 1)

    with_ledger(context, data_dir, work)
    show({"name": name, "from": position}, as_json, f"{name} begins again at position {position}.")


@app.command()
def failures(
    context: typer.Context,
    name: Name,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List deliveries that were set aside, or failed and will be tried again; the oldest first.

    Example: nostro followers failures mail --limit 10
    """

    async def work(ledger: Ledger, _: Settings) -> list[FailedDelivery]:
        return await ledger.following.failures(name, limit)

    rows = [_failure(name, one) for one in with_ledger(context, data_dir, work)]
    lines = [
        f"{row['id']}  {row['status']:<9}  {row['attempts']:>3} attempts  {row['target']}  {row['lastError']}"
        for row in rows
    ]
    show(rows, as_json, "\n".join(lines) or f"No delivery of {name} has failed.")


def _failure(name: str, one: FailedDelivery) -> dict[str, Any]:
    return {
        "id": delivery_id(name, one.position, one.target),
        "position": one.position,
        "target": one.target,
        "status": one.status,
        "attempts": one.attempts,
        "dueAt": shown_time(one.due_at) if one.status == "PENDING" else None,
        "createdAt": shown_time(one.created_at),
        "lastError": one.last_error,
    }


@app.command()
def retry(
    context: typer.Context,
    name: Name,
    delivery: Annotated[
        str | None, typer.Argument(help="The delivery's id; everything that was set aside unless given.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send again, now: one delivery, or all that were set aside.

    Example: nostro followers retry mail mail-1207-1f0c3c5d9a1b2c3d
    """

    async def work(ledger: Ledger, _: Settings) -> int:
        return await ledger.following.retry(name, delivery)

    count = with_ledger(context, data_dir, work)
    show({"name": name, "due": count}, as_json, f"{count} due now.")
