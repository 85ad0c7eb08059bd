"""The guard: real sockets, and a resolver that lies as a hostile name server would."""

import asyncio
import datetime
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nostro.domain.destination import Destinations, parse_allowed
from nostro.followers import webhook_requests
from nostro.followers.guard import GuardedTransport, Resolve
from nostro.followers.webhook_requests import Answer, ask
from tests.hostile_urls import HOSTILE_URLS
from tests.ports import free_port
from tests.sink import Reply, Sink

HEADERS = {"webhook-id": "webhooks-1-0"}


@pytest.fixture
def open_sink() -> Iterator[Callable[..., Sink]]:
    opened: list[Sink] = []

    def make(host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> Sink:
        opened.append(Sink(host, port, tls))
        return opened[-1]

    yield make
    for sink in opened:
        sink.close()


def two_on_one_port(open_sink: Callable[..., Sink]) -> tuple[Sink, Sink]:
    port = free_port("127.0.0.2", "127.0.0.1")
    return open_sink("127.0.0.2", port), open_sink("127.0.0.1", port)


def request(
    url: str, allow: str = "", resolve: Resolve | None = None, trusted: ssl.SSLContext | None = None
) -> Answer:
    async def run() -> Answer:
        networks, hosts = parse_allowed(allow)
        transport = GuardedTransport(Destinations(networks, hosts), resolve, trusted)
        try:
            return await ask(transport, url, HEADERS, b'{"a":1}')
        finally:
            await transport.aclose()

    return asyncio.run(run())


def answering(*answers: list[str]) -> tuple[Resolve, list[str]]:
    """A resolver that gives one answer after the other, and the names it was asked for."""
    asked: list[str] = []

    async def resolve(host: str) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


def test_an_allowed_receiver_gets_the_request_as_it_is(open_sink: Callable[..., Sink]) -> None:
    sink = open_sink()
    assert request(sink.url, "127.0.0.1") == Answer(204, None)
    (received,) = sink.received
    assert received.body == b'{"a":1}'
    assert received.headers["host"] == f"127.0.0.1:{sink.port}"
    assert received.headers["webhook-id"] == HEADERS["webhook-id"]
    assert received.headers["content-type"] == "application/json"
    assert "cookie" not in received.headers


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_no_hostile_url_reaches_the_loopback_interface(url: str, open_sink: Callable[..., Sink]) -> None:
    """Past the check at registration: as if the URL had been let in before the rules were as they are."""
    sink = open_sink()
    url = url.replace("{port}", str(sink.port))
    public_elsewhere, _ = answering(["192.0.2.1"])
    names = ("example.com", "machine")
    resolve = public_elsewhere if any(name in url for name in names) else None
    assert request(url, resolve=resolve).reason is not None
    assert sink.connections == 0


def test_without_the_guard_many_of_them_would_have_arrived(open_sink: Callable[..., Sink]) -> None:
    """What keeps them out is the guard, not that they lead nowhere."""
    sink = open_sink()
    for url in HOSTILE_URLS[:26]:
        request(url.replace("{port}", str(sink.port)), "0.0.0.0/0")
    assert len(sink.received) >= 10


def test_a_name_that_leads_to_loopback_is_refused(open_sink: Callable[..., Sink]) -> None:
    sink = open_sink()
    assert "may go to" in str(request(f"http://localhost:{sink.port}/").reason)
    resolve, _ = answering(["127.0.0.1"])
    assert "may go to" in str(request(f"http://receiver.example:{sink.port}/", resolve=resolve).reason)
    assert sink.connections == 0


def test_one_forbidden_address_among_many_refuses_the_name(open_sink: Callable[..., Sink]) -> None:
    permitted, forbidden = two_on_one_port(open_sink)
    resolve, _ = answering(["127.0.0.2", "127.0.0.1"])
    answer = request(f"http://receiver.example:{permitted.port}/", "127.0.0.2", resolve)
    assert "may go to" in str(answer.reason)
    assert permitted.connections == forbidden.connections == 0


def test_a_name_is_looked_up_once_and_rebinding_it_changes_nothing(open_sink: Callable[..., Sink]) -> None:
    permitted, forbidden = two_on_one_port(open_sink)
    resolve, asked = answering(["127.0.0.2"], ["127.0.0.1"])
    answer = request(f"http://receiver.example:{permitted.port}/", "127.0.0.2", resolve)
    assert answer == Answer(204, None)
    assert asked == ["receiver.example"]
    assert permitted.received[0].headers["host"] == f"receiver.example:{permitted.port}"
    assert forbidden.connections == 0
    # The second request asks anew, and the name has moved to where it must not.
    both = "127.0.0.2"
    answers, _ = answering(["127.0.0.1"])
    assert "may go to" in str(request(f"http://receiver.example:{permitted.port}/", both, answers).reason)
    assert forbidden.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(status: int, open_sink: Callable[..., Sink]) -> None:
    permitted, forbidden = open_sink("127.0.0.2"), open_sink("127.0.0.1")
    permitted.answer(status, Location=forbidden.url)
    answer = request(permitted.url, "127.0.0.2")
    assert answer == Answer(status, f"HTTP {status}: a redirect is not followed")
    assert len(permitted.received) == 1
    assert forbidden.connections == 0


def test_the_next_address_is_tried_when_nobody_answers_at_the_first(open_sink: Callable[..., Sink]) -> None:
    sink = open_sink("127.0.0.2")
    resolve, _ = answering(["127.0.0.3", "127.0.0.2"])
    assert request(f"http://receiver.example:{sink.port}/", "127.0.0.0/8", resolve) == Answer(204, None)


def test_a_name_that_nobody_knows_is_told_apart_from_no_other() -> None:
    async def not_known(host: str) -> list[str]:
        raise OSError(f"{host} is not known")

    to_nothing, _ = answering([])
    internal, _ = answering(["10.0.0.1"])
    told = {request("http://receiver.example/", resolve=one) for one in (not_known, to_nothing, internal)}
    assert told == {Answer(None, "the host leads to no address that requests may go to")}


def test_a_proxy_of_the_environment_is_not_used(
    open_sink: Callable[..., Sink], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, proxy = open_sink("127.0.0.2"), open_sink("127.0.0.1")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert request(sink.url, "127.0.0.2") == Answer(204, None)
    assert proxy.connections == 0


def test_a_receivers_cookie_is_not_kept(open_sink: Callable[..., Sink]) -> None:
    sink = open_sink()
    sink.answer(200, Set_Cookie="session=1; Path=/")

    async def run() -> None:
        transport = GuardedTransport(Destinations(*parse_allowed("127.0.0.1")))
        for _ in range(2):
            await ask(transport, sink.url, HEADERS, b"{}")
        await transport.aclose()

    asyncio.run(run())
    assert [received for received in sink.received if "cookie" in received.headers] == []
    assert sink.connections == 2, "each request has a connection of its own"


@pytest.mark.parametrize(
    ("header", "wait_s"), [("120", 120.0), ("999999", 86400.0), ("soon", None), ("-1", None), ("", None)]
)
def test_a_busy_receiver_says_for_how_long(
    header: str, wait_s: float | None, open_sink: Callable[..., Sink]
) -> None:
    sink = open_sink()
    sink.answer(429, Retry_After=header)
    assert request(sink.url, "127.0.0.1") == Answer(429, "HTTP 429 Too Many Requests", wait_s)


def test_a_busy_receiver_may_say_until_when(open_sink: Callable[..., Sink]) -> None:
    sink = open_sink()
    sink.answer(503, Retry_After="Wed, 01 Jan 2200 00:00:00 GMT")
    assert request(sink.url, "127.0.0.1").retry_after_s == 86400.0
    sink.answer(503, Retry_After="Wed, 01 Jan 2020 00:00:00 GMT")
    assert request(sink.url, "127.0.0.1").retry_after_s == 0.0


def test_a_receiver_that_does_not_answer_in_time_is_a_failure(
    open_sink: Callable[..., Sink], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, done = open_sink(), threading.Event()
    sink.reply = lambda _: Reply(200, after=done)
    monkeypatch.setattr(webhook_requests, "REQUEST_TIMEOUT_S", 0.2)
    assert request(sink.url, "127.0.0.1") == Answer(None, "no answer within 0.2 s")
    done.set()


def test_the_body_of_an_answer_is_not_waited_for(open_sink: Callable[..., Sink]) -> None:
    sink = open_sink()
    sink.reply = lambda _: Reply(200, {"Content-Length": "1000000"})
    assert request(sink.url, "127.0.0.1") == Answer(200, None)


# ── TLS: to the address that was checked, in the name that was asked for ─────────────────────────────


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for `name`, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate_file, key_file


def test_the_certificate_is_judged_by_the_name_not_by_the_address(
    tmp_path: Path, open_sink: Callable[..., Sink]
) -> None:
    certificate, key = _certificate(tmp_path, "receiver.example")
    asked: list[str | None] = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    server.sni_callback = lambda _connection, name, _context: asked.append(name)
    sink = open_sink("127.0.0.2", tls=server)
    trusted = ssl.create_default_context(cafile=str(certificate))
    resolve, _ = answering(["127.0.0.2"])
    url = f"https://receiver.example:{sink.port}/hook"
    assert request(url, "127.0.0.2", resolve, trusted) == Answer(204, None)
    assert asked == ["receiver.example"]
    # Another name that leads to the same address gets no request: the certificate is not for it.
    other = request(f"https://other.example:{sink.port}/", "127.0.0.2", resolve, trusted)
    assert "connection failed" in str(other.reason)
    # And one that nobody vouches for gets none either.
    assert "connection failed" in str(request(url, "127.0.0.2", resolve).reason)
    assert len(sink.received) == 1
