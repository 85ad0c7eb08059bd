"""The mailbox of development, as a test reads it."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from tests.client import Client

PATIENCE_S = 60
Mail = dict[str, Any]
Seen = TypeVar("Seen")


def mails_to(client: Client, email: str, count: int = 1) -> list[Mail]:
    """All mail to `email`, the oldest first, once there are `count`."""
    return mails_until(client, email, lambda mails: len(mails) >= count)


def mails_until(client: Client, email: str, condition: Callable[[list[Mail]], bool]) -> list[Mail]:
    """All mail to `email`, the oldest first, once it fulfils the condition."""
    listed = until(lambda: client.request("GET", f"/dev/mail?limit=200&to={email}").json()["mails"], condition)
    return [whole(client, line["number"]) for line in reversed(listed)]


def until(look: Callable[[], Seen], condition: Callable[[Seen], bool]) -> Seen:
    """What is seen, once it fulfils the condition."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)
    return seen


def whole(client: Client, number: int) -> Mail:
    mail: Mail = client.request("GET", f"/dev/mail/{number}").json()["mail"]
    return mail


def of(mails: list[Mail], subject: str) -> Mail:
    """The one mail with this subject."""
    [found] = [mail for mail in mails if mail["subject"] == subject]
    return found


def rows(mail: Mail) -> dict[str, str]:
    """The facts of a mail: label and value of every line that has both."""
    found = {}
    for line in mail["text"].splitlines():
        label, separator, value = line.partition(": ")
        if separator:
            found[label] = value
    return found


def header(mail: Mail, name: str) -> str:
    [value] = [header["value"] for header in mail["headers"] if header["name"] == name]
    return str(value)
