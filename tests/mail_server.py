"""A real SMTP server for the tests, as strict as a provider's: TLS, logins by password or token, refusals on
request; and the endpoint that gives out the tokens."""

import asyncio
import base64
import contextlib
import datetime
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.ports import free_port

USER, PASSWORD = "house@bank.example", "canary-of-the-mailbox"
PATIENCE_S = 30
LATE_S = 1.0


def make_certificate(folder: Path, name: str = "127.0.0.1") -> tuple[Path, Path]:
    """A self-signed certificate for `name` and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, key_file = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pem, key_file


@dataclass(frozen=True)
class Received:
    sender: str
    recipient: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        message = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain",))
        assert part is not None
        return str(part.get_content())

    @property
    def html(self) -> str:
        part = self.message.get_body(("html",))
        assert part is not None
        return str(part.get_content())

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])


@dataclass
class MailServer:
    """`answers`: what to say instead of 250 to RCPT of an address, or to the DATA of mail to it, in turn.

    "lost": take the mail and hang up; "late": take it, and answer after LATE_S seconds.

    `tls`: "starttls", "tls" or "none". The port stays the same when it is stopped and started again.
    """

    folder: Path
    tls: str = "starttls"
    user: str = USER
    password: str = PASSWORD
    tokens: set[str] = field(default_factory=set)
    utf8: bool = True
    refused_senders: dict[str, str] = field(default_factory=dict)
    recipient_answers: dict[str, list[str]] = field(default_factory=dict)
    data_answers: dict[str, list[str]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    logins: list[str] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    _arrived: threading.Condition = field(default_factory=threading.Condition)
    _controller: Controller | None = None

    def __post_init__(self) -> None:
        self.certificate, self._key = make_certificate(self.folder)

    def start(self) -> "MailServer":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self._key)
        handler, secure = _Handler(self), self.tls == "tls"
        options: dict[str, Any] = {
            "authenticator": handler.authenticate,
            "auth_required": self.tls != "none",
            "auth_require_tls": self.tls != "none",
            "require_starttls": self.tls == "starttls",
            "tls_context": context if self.tls == "starttls" else None,
            "enable_SMTPUTF8": self.utf8,
        }
        if secure:
            # aiosmtpd knows TLS only as STARTTLS: inside a TLS connection it must not ask for more.
            options |= {"auth_require_tls": False, "auth_required": False}
        self._controller = _Controller(
            handler,
            hostname="127.0.0.1",
            port=self.port,
            ssl_context=context if secure else None,
            **options,
        )
        self._controller.start()
        return self

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def environment(self, **more: str) -> dict[str, str]:
        """The settings of a service that sends by this server."""
        return {
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.port),
            "SMTP_TLS": self.tls,
            "EMAIL_USER": self.user,
            "EMAIL_PASS": self.password,
            "SSL_CERT_FILE": str(self.certificate),
            **more,
        }

    def take(self, mail: Received) -> None:
        with self._arrived:
            self.received.append(mail)
            self._arrived.notify_all()

    def wait_until(self, condition: Callable[[list[Received]], bool]) -> list[Received]:
        """What has arrived, once it fulfils the condition."""
        with self._arrived:
            met = self._arrived.wait_for(lambda: condition(self.received), PATIENCE_S)
            assert met, [(mail.recipient, mail.message["Subject"]) for mail in self.received]
            return list(self.received)

    def to(self, recipient: str) -> list[Received]:
        with self._arrived:
            return [mail for mail in self.received if mail.recipient == recipient]


async def turns_of_the_loop() -> None:
    """A connection that was ended is closed in the next turns of its loop, which must not end before."""
    for _ in range(10):
        await asyncio.sleep(0)


class _Controller(Controller):
    """Knows its connections, so that none is left open when it stops."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._open: set[_Connection] = set()

    def factory(self) -> SMTP:
        return _Connection(self._open, self.handler, loop=self.loop, **self.SMTP_kwargs)

    def _trigger_server(self) -> None:
        """Nothing has to be triggered: the first client does."""
        self._factory_invoked.set()
        self.smtpd = self.factory()

    def stop(self, no_assert: bool = False) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result(PATIENCE_S)
        super().stop(no_assert)

    async def _hang_up(self) -> None:
        assert self.server is not None
        self.server.close()
        while self._open:
            for connection in self._open:
                connection.hang_up()
            await asyncio.sleep(0)
        await turns_of_the_loop()


class _Connection(SMTP):
    def __init__(self, opened: "set[_Connection]", *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._opened = opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._opened.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._opened.discard(self)
        super().connection_lost(error)

    def hang_up(self) -> None:
        # Python 3.11.2 forgets which connection a transport is of that was closed twice: it is ending already.
        with contextlib.suppress(AttributeError):
            self.transport.abort()


class _Handler:
    def __init__(self, house: MailServer) -> None:
        self._house = house

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, given: LoginPassword
    ) -> AuthResult:
        house = self._house
        house.logins.append(mechanism)
        known = (given.login.decode(), given.password.decode()) == (house.user, house.password)
        return AuthResult(success=known, handled=False)

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802 - aiosmtpd's name
        self._house.logins.append("XOAUTH2")
        said = base64.b64decode(args[1]).decode()
        user, bearer = said.split("\x01")[:2]
        token = bearer.removeprefix("auth=Bearer ")
        if user == f"user={self._house.user}" and token in self._house.tokens:
            return AuthResult(success=True)
        await server.challenge_auth(json.dumps({"status": "400"}))
        return AuthResult(success=False, handled=False)

    async def handle_EHLO(  # noqa: N802
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self._house.connections += 1
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = self._house.refused_senders.get(address)
        if refusal:
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        waiting = self._house.recipient_answers.get(address)
        if waiting:
            return waiting.pop(0)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        recipient = envelope.rcpt_tos[0]
        waiting = self._house.data_answers.get(recipient)
        answer = waiting.pop(0) if waiting else "250 OK"
        assert envelope.mail_from is not None
        assert isinstance(envelope.content, bytes)
        if answer.startswith("250") or answer in {"lost", "late"}:
            self._house.take(Received(envelope.mail_from, recipient, envelope.content))
        if answer == "late":
            await asyncio.sleep(LATE_S)
            return "250 late"
        if answer == "lost":
            server.transport.abort()
        return answer


class TokenEndpoint:
    """Gives out access tokens for one refresh token, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.tokens: list[str] = []
        self.refusal: tuple[int, bytes] | None = None
        self.expires_in = 3600
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                endpoint.asked.append({name: values[0] for name, values in parse_qs(body).items()})
                status, answer = endpoint.answer()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Tests have no use for a log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/token"

    def answer(self) -> tuple[int, bytes]:
        if self.refusal:
            return self.refusal
        token = f"canary-token-{len(self.asked)}"
        self.tokens.append(token)
        said = {"access_token": token, "expires_in": self.expires_in, "token_type": "Bearer"}
        return 200, json.dumps(said).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
