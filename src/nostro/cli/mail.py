"""`nostro mail …`: whether mail gets out."""

from typing import Annotated, Any

import typer

from nostro.cli.session import AsJson, Runtime, show
from nostro.ledger.users import canonical_email
from nostro.settings import load_settings

app = typer.Typer(help="Find out whether mail gets out.", no_args_is_help=True)


@app.command("test")
def try_mail(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="Where the test mail goes.")],
    as_json: AsJson = False,
) -> None:
    """Send one mail by the settings in force, and say after each step what was found.

    Steps: name, connection, TLS, login, sender, recipient, message. Exits with 1 at the first that fails.

    Example: nostro mail test ann@example.com
    """
    runtime: Runtime = context.obj
    settings, recipient = load_settings(), canonical_email(address)

    async def work() -> list[dict[str, Any]]:
        steps = []
        async for name, works, finding in runtime.mail_test(settings, recipient):
            steps.append({"step": name, "works": works, "finding": finding})
            if not as_json:
                print(f"{'ok    ' if works else 'FAILED'}  {name:<10}  {finding}")
        return steps

    steps: list[dict[str, Any]] = runtime.run(work())
    works = all(step["works"] for step in steps)
    if as_json:
        show({"works": works, "steps": steps}, as_json, "")
    if not works:
        raise typer.Exit(1)
