"""What every command shares: the settings, a ledger to work on, and one way to print."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import typer

from nostro.ledger.service import Ledger
from nostro.settings import Settings, load_settings

Answer = TypeVar("Answer")
Role = Literal["service", "command"]

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where the embedded database lives (default ./var).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@dataclass(frozen=True)
class Runtime:
    """What app.py hands to the commands: how to open the ledger, how to serve it, how to run a coroutine, and
    how to try a mail (name, success and finding of each step)."""

    open_service: Callable[[Settings, Role], AbstractAsyncContextManager[Ledger]]
    serve: Callable[[Settings], Awaitable[None]]
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    mail_test: Callable[[Settings, str], AsyncIterator[tuple[str, bool, str]]]


def with_ledger(
    context: typer.Context, data_dir: Path | None, work: Callable[[Ledger, Settings], Awaitable[Answer]]
) -> Answer:
    """Run `work` on the ledger: the running service's database, or one started for this command."""
    runtime: Runtime = context.obj
    settings = load_settings(data_dir=data_dir)

    async def session() -> Answer:
        async with runtime.open_service(settings, "command") as ledger:
            return await work(ledger, settings)

    answer: Answer = runtime.run(session())
    return answer


def show(document: object, as_json: bool, text: str) -> None:
    print(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() if as_json else text)
