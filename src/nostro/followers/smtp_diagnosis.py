"""What `nostro mail test` does: one mail to one address, step by step, saying after each what was found.

Nothing secret is in what is said: of an answer to the login only its numbers are shown.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import aiosmtplib

from nostro.domain.mail import Mail
from nostro.followers.oauth import AccessTokens
from nostro.followers.smtp import TIMEOUT_S, Failure, explained, log_in, new_session, take_leave
from nostro.mail_settings import SmtpServer
from nostro.settings import SmtpTls

_LONGEST_ANSWER = 200


class Step(NamedTuple):
    """`works`: whether the next step makes sense."""

    name: str
    works: bool
    finding: str


async def diagnose(server: SmtpServer, mail: Mail) -> AsyncIterator[Step]:
    """The steps in order, up to the first that fails; the last hands `mail` over."""
    session = new_session(server)
    try:
        for name, step in _STEPS.items():
            try:
                finding = await step(session, server, mail)
            except (*Failure, ValueError) as error:
                yield Step(name, False, explained(error))
                return
            yield Step(name, True, finding)
    finally:
        await take_leave(session)


async def _look_up(_: aiosmtplib.SMTP, server: SmtpServer, __: Mail) -> str:
    async with asyncio.timeout(TIMEOUT_S):
        found = await asyncio.get_running_loop().getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    addresses = dict.fromkeys(str(where[4][0]) for where in found)
    return f"{server.host} is {', '.join(addresses)}"


async def _connect(session: aiosmtplib.SMTP, server: SmtpServer, _: Mail) -> str:
    answer = await session.connect()
    return f"port {server.port} answers: {_shown(answer.message)}"


async def _secure(session: aiosmtplib.SMTP, server: SmtpServer, _: Mail) -> str:
    if server.tls is SmtpTls.NONE:
        return "none was asked for (SMTP_TLS); what is sent can be read on the way"
    if server.tls is SmtpTls.STARTTLS:
        await session.starttls()
    connection = session.get_transport_info("ssl_object")
    return f"{connection.version()}, {connection.cipher()[0]}, certificate trusted"


async def _log_in(session: aiosmtplib.SMTP, server: SmtpServer, _: Mail) -> str:
    await session.ehlo()
    if server.user is None:
        return "none was asked for (EMAIL_USER)"
    offered = ", ".join(session.server_auth_methods) or "nothing"
    await log_in(session, server, AccessTokens(server.oauth) if server.oauth else None)
    return f"{server.user} is let in by {'OAuth2' if server.oauth else 'password'}; the server offers {offered}"


async def _name_sender(session: aiosmtplib.SMTP, _: SmtpServer, mail: Mail) -> str:
    answer = await session.mail(mail.sender)
    return f"{mail.sender}: {_shown(answer.message)}"


async def _name_recipient(session: aiosmtplib.SMTP, _: SmtpServer, mail: Mail) -> str:
    answer = await session.rcpt(mail.recipient)
    return f"{mail.recipient}: {_shown(answer.message)}"


async def _hand_over(session: aiosmtplib.SMTP, _: SmtpServer, mail: Mail) -> str:
    answer = await session.data(mail.content)
    return f"{_shown(answer.message)}; Message-ID {mail.message_id}"


_STEPS: dict[str, Callable[[aiosmtplib.SMTP, SmtpServer, Mail], Awaitable[str]]] = {
    "name": _look_up,
    "connection": _connect,
    "TLS": _secure,
    "login": _log_in,
    "sender": _name_sender,
    "recipient": _name_recipient,
    "message": _hand_over,
}


def _shown(answer: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in answer)
    return " ".join(printable.split())[:_LONGEST_ANSWER]
