"""Handing mail over to an SMTP server: over TLS, logged in, on connections that are used again.

A refusal is judged by whom it is about. What the server says of one recipient or one message for good (5xx to
RCPT or DATA) sets that mail aside. Everything else, such as a login, a sender or a connection refused, would be
the same for every mail: it waits, and meanwhile the server is asked again only now and then.

An answer lost after the message was sent leaves open whether it arrived; it is sent again, under the same
Message-ID, by which mail programs know it (tests/fault/test_mail_server.py).
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any, cast

import aiosmtplib
import structlog

from nostro.domain.mail import Mail
from nostro.followers.frame import Later, SetAside
from nostro.followers.oauth import AccessTokens, TokenRefused
from nostro.mail_settings import SmtpServer
from nostro.settings import SmtpTls

log = structlog.get_logger(__name__)

CONNECTIONS = 4
# Of one command and its answer.
TIMEOUT_S = 10.0
_GOODBYE_S = 1.0
# Servers close a connection that is idle for five minutes (RFC 5321); some for one.
_LONGEST_IDLE_S = 30.0
_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0)
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)")

Failure = (aiosmtplib.SMTPException, OSError, TimeoutError, TokenRefused)
_OfOneMail = (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPDataError)


class SmtpOutlet:
    """One server, at most `CONNECTIONS` to it. `clock` counts seconds."""

    def __init__(self, server: SmtpServer, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._tokens = AccessTokens(server.oauth, clock) if server.oauth else None
        self._clock = clock
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._opening = asyncio.Lock()
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []
        self._failures = 0
        self._paused_until = float("-inf")
        self._why = ""

    async def hand_over(self, mail: Mail) -> None:
        """Returns when the server has taken the mail. Raises `Later` or `SetAside`.

        While the server is left alone this waits: whoever would come instead would have to wait, too.
        """
        async with self._places:
            await asyncio.sleep(max(0.0, self._paused_until - self._clock()))
            async with self._session() as session:
                await self._send(session, mail)

    async def _send(self, session: aiosmtplib.SMTP, mail: Mail) -> None:
        options = [] if (mail.sender + mail.recipient).isascii() else ["SMTPUTF8"]
        try:
            await session.sendmail(mail.sender, [mail.recipient], mail.content, mail_options=options)
        except _OfOneMail as error:
            self._note_success()
            refusal = error.recipients[0] if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else error
            raise (SetAside if refusal.code >= 500 else Later)(explained(refusal)) from None
        except (aiosmtplib.SMTPNotSupported, ValueError):
            raise SetAside("the address cannot be written to through this server") from None
        except Failure as error:
            drop(session)  # it failed in the middle of this mail: the next one gets a connection of its own
            raise self._pause(error) from None
        self._note_success()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """A connection for one mail; it is kept if it is still good afterwards."""
        session = await self._kept() or await self._new()
        try:
            yield session
        except (Later, SetAside):
            self._keep(session)
            raise
        except BaseException:
            drop(session)  # in the middle of something: what it says next is about that
            raise
        self._keep(session)

    def _keep(self, session: aiosmtplib.SMTP) -> None:
        if session.is_connected:
            self._idle.append((session, self._clock()))

    async def _kept(self) -> aiosmtplib.SMTP | None:
        """A connection that was used before and still answers."""
        while self._idle:
            session, since = self._idle.pop()
            if self._clock() - since < _LONGEST_IDLE_S:
                with suppress(*Failure):
                    await session.rset()
                    return session
            drop(session)
        return None

    async def _new(self) -> aiosmtplib.SMTP:
        """One at a time: while the server fails, one mail finds out for all."""
        async with self._opening:
            if self._paused_until > self._clock():
                raise Later(self._why)
            return await self._open()

    async def _open(self) -> aiosmtplib.SMTP:
        session = new_session(self._server)
        try:
            await open_session(session, self._server, self._tokens)
        except Failure as error:
            drop(session)
            raise self._pause(error) from None
        except BaseException:
            drop(session)
            raise
        return session

    def _note_success(self) -> None:
        if self._failures:
            log.info("mail_server_back")
        self._failures = 0

    def _pause(self, error: BaseException) -> Later:
        """The server is left alone for a while, by all mail alike."""
        self._why = explained(error)
        if self._paused_until <= self._clock():  # those that failed at the same moment are one failure
            if not self._failures:
                log.warning("mail_server_fails", reason=self._why)
            self._paused_until = self._clock() + _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)]
            self._failures += 1
        return Later(self._why)

    async def aclose(self) -> None:
        while self._idle:
            session, _ = self._idle.pop()
            await take_leave(session)


def new_session(server: SmtpServer) -> aiosmtplib.SMTP:
    """A connection not yet made."""
    return aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.tls is SmtpTls.TLS,
        start_tls=False,  # open_session asks for it, and insists
        tls_context=_trust(),
        timeout=TIMEOUT_S,
        local_hostname=_own_name(),
    )


async def take_leave(session: aiosmtplib.SMTP) -> None:
    """End the connection, with a word to the server if it listens."""
    transport = session.transport
    with suppress(*Failure):
        await session.quit(timeout=_GOODBYE_S)
    session.close()
    _abort(transport)
    await asyncio.sleep(0)  # the turn of the loop in which the socket is closed


def drop(session: aiosmtplib.SMTP) -> None:
    """End the connection at once, without a goodbye that the server may not be there to hear."""
    transport = session.transport
    session.close()
    _abort(transport)


def _abort(transport: asyncio.BaseTransport | None) -> None:
    """A TLS connection that is only closed waits for the other side to agree."""
    if transport is not None:
        cast(asyncio.WriteTransport, transport).abort()  # no common base class: uvloop has its own


async def open_session(session: aiosmtplib.SMTP, server: SmtpServer, tokens: AccessTokens | None) -> None:
    """Connect, secure, log in. Raises `Failure`: never a session without the TLS that was asked for."""
    await session.connect()
    if server.tls is SmtpTls.STARTTLS:
        await session.starttls()
    await log_in(session, server, tokens)


async def log_in(session: aiosmtplib.SMTP, server: SmtpServer, tokens: AccessTokens | None) -> None:
    if server.user is None:
        return
    if tokens is None:
        assert server.password is not None, "mail_settings refuses a user without a password or OAuth2"
        await session.login(server.user, server.password.get_secret_value())
        return
    try:
        await session.auth_xoauth2(server.user, await tokens.token())
    except aiosmtplib.SMTPAuthenticationError:
        # A token may end early, when a password is changed or access is withdrawn; a new one tells.
        if not tokens.forget():
            raise
        await session.auth_xoauth2(server.user, await tokens.token())


@cache
def _trust() -> ssl.SSLContext:
    """The system's certificates, or those in the file that SSL_CERT_FILE names."""
    return ssl.create_default_context()


@cache
def _own_name() -> str:
    """What EHLO says. Asking the DNS for more could take long."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9.-]{1,255}", name) else "localhost"


def explained(error: BaseException) -> str:
    """Why, in words of ours: a server's own could repeat what it was sent, a password among it."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    if isinstance(error, aiosmtplib.SMTPConnectError) and isinstance(error.__cause__, OSError):
        error = error.__cause__
    if isinstance(error, aiosmtplib.SMTPResponseException):
        who = next(
            (words for kind, words in _REFUSALS.items() if isinstance(error, kind)), "the server refused"
        )
        return f"{who} ({error.code}{_enhanced(error.message)})"
    return next((words(error) for kind, words in _FAILURES.items() if isinstance(error, kind)), str(error))


_REFUSALS: dict[type[BaseException], str] = {
    aiosmtplib.SMTPAuthenticationError: "the server refused the login",
    aiosmtplib.SMTPSenderRefused: "the server refused the sender",
    aiosmtplib.SMTPRecipientRefused: "the server refused the recipient",
    aiosmtplib.SMTPDataError: "the server refused the message",
}
# The first that fits. A failure of none of these kinds says itself what it is, in words of ours.
_FAILURES: dict[type[BaseException], Callable[[Any], str]] = {
    ssl.SSLCertVerificationError: lambda e: f"the server's certificate is not trusted ({e.verify_message})",
    TimeoutError: lambda _: "the server did not answer in time",
    aiosmtplib.SMTPServerDisconnected: lambda _: "the server closed the connection",
    aiosmtplib.SMTPException: lambda e: f"the server does not do what is needed ({e.message})",
    OSError: lambda e: f"the server cannot be reached ({e.strerror or type(e).__name__})",
}


def _enhanced(text: str) -> str:
    """The status code of RFC 3463 at the beginning of an answer, such as " 5.1.1"."""
    found = _ENHANCED.match(text)
    return f" {found[0]}" if found else ""
