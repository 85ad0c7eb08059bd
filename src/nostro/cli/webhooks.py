"""`nostro webhooks …`: for whoever writes a receiver, on the machine it is written on.

Both commands sign what they send as the service does, so that a receiver that takes these messages takes the
real ones. They go where they are told to, loopback included: it is the developer's machine, not the service's.
"""

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx2
import typer

from nostro.domain.delivery import delivery_id
from nostro.domain.errors import TokenInvalid
from nostro.domain.webhook import EVERYTHING, wants
from nostro.ledger.event_examples import examples
from nostro.ledger.signing import new_secret, signed_headers
from nostro.settings import SettingsError, load_settings
from nostro.store.documents import decode_document, encode_document

_TARGET = "listen"
_BEYOND_THE_END = 10**15
_LOOK_EVERY_S = 0.5
_TIMEOUT_S = 15.0
_PAGE = 200

app = typer.Typer(help="Try a receiver of webhooks: real events, or sample ones.", no_args_is_help=True)

ForwardTo = Annotated[
    str, typer.Option("--forward-to", help="The receiver, such as http://localhost:8080/hook.")
]
Secret = Annotated[
    str | None,
    typer.Option(help="Sign with this (default: a new one, which is printed).", envvar="WEBHOOK_SECRET"),
]


@app.command()
def listen(
    forward_to: ForwardTo,
    token: Annotated[str, typer.Option(help="Whose events: a token of the API.", envvar="NOSTRO_TOKEN")],
    url: Annotated[str | None, typer.Option(help="The service (default: HOST and PORT).")] = None,
    events: Annotated[list[str] | None, typer.Option(help="Event types, hold.* or * (default).")] = None,
    after: Annotated[int | None, typer.Option(help="Begin behind this position (default: now).", min=0)] = None,
    secret: Secret = None,
) -> None:
    """Forward events to a receiver as they happen, signed like those of a webhook, until Ctrl-C.

    An event that the receiver does not take is told and not tried again.

    Example: nostro webhooks listen --forward-to http://localhost:8080/hook --token $TOKEN
    """
    secret = _announced(secret)
    service = url or _service_url()
    with httpx2.Client(timeout=_TIMEOUT_S, trust_env=False) as client, contextlib.suppress(KeyboardInterrupt):
        ask = _asking(client, service, token)
        position = ask(_BEYOND_THE_END)["next"] if after is None else after
        print(f"Forwarding events of {service} after position {position} to {forward_to}", flush=True)
        previous = position
        while True:
            page = ask(position)
            for event in page["events"]:
                if wants(events or [EVERYTHING], _short(event["type"])):
                    _forward(client, forward_to, event, previous, secret)
                    previous = event["position"]
            if page["next"] == position:
                time.sleep(_LOOK_EVERY_S)
            position = page["next"]


@app.command()
def trigger(
    event: Annotated[str, typer.Argument(help="The type, such as transaction.completed.")],
    forward_to: ForwardTo,
    secret: Secret = None,
) -> None:
    """Send a sample event to a receiver, signed like a real one. Nothing happens in the ledger.

    Example: nostro webhooks trigger transaction.completed --forward-to http://localhost:8080/hook
    """
    samples = examples()
    if event not in samples:
        raise typer.BadParameter(f"There is no event {event}. There are: {', '.join(samples)}")
    secret = _announced(secret)
    sample = samples[event]
    with httpx2.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
        if not _forward(client, forward_to, sample.document(None), sample.position - 1, secret):
            raise typer.Exit(1)


def _announced(secret: str | None) -> str:
    if secret is not None:
        return secret
    made = new_secret()
    print(f"Signing with {made}", flush=True)
    return made


def _service_url() -> str:
    settings = load_settings()
    return f"http://{settings.host}:{settings.port}"


def _short(event_type: str) -> str:
    return event_type.removeprefix("io.nostro.")


def _asking(client: httpx2.Client, service: str, token: str) -> Callable[[int], Any]:
    """Asks for the events behind a position; ends the command when the service refuses or is not there."""

    def ask(position: int) -> Any:
        try:
            answer = client.get(
                f"{service}/api/events",
                params={"after": position, "limit": _PAGE},
                headers={"authorization": f"Bearer {token}"},
            )
        except httpx2.TransportError as error:
            raise SettingsError(f"--url: {service} does not answer ({type(error).__name__}).") from None
        if answer.status_code == 401:
            raise TokenInvalid
        if answer.status_code != 200:
            raise SettingsError(f"--url: {service} answers {answer.status_code}, as no Nostro does.")
        return decode_document(answer.content)

    return ask


def _forward(client: httpx2.Client, url: str, event: dict[str, Any], previous: int, secret: str) -> bool:
    """Send one event and say what became of it; whether it was taken."""
    body = encode_document(event | {"previousposition": previous})
    message = delivery_id("webhooks", event["position"], _TARGET)
    headers = {"content-type": "application/json"} | signed_headers(message, body, datetime.now(UTC), [secret])
    try:
        status = client.post(url, content=body, headers=headers).status_code
        became, taken = str(status), 200 <= status < 300
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        became, taken = f"no answer ({type(error).__name__})", False
    print(f"{event['position']:>8}  {_short(event['type']):<32} {became}", flush=True)
    return taken
