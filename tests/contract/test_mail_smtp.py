"""Handing mail to a real SMTP server: what is secured, who is let in, and whose fault a refusal is."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from nostro.domain.mail import Mail
from nostro.followers import smtp
from nostro.followers.frame import Later, SetAside
from nostro.followers.smtp import SmtpOutlet
from nostro.mail_settings import OAuthClient, SmtpServer
from nostro.settings import SmtpTls
from tests.mail_server import LATE_S, PASSWORD, USER, MailServer, TokenEndpoint, turns_of_the_loop

pytestmark = pytest.mark.anyio

CONTENT = b"From: house@bank.example\r\nTo: ann@example.com\r\nSubject: Hi\r\n\r\n.dots at the start\r\nend\r\n"


def mail(recipient: str = "ann@example.com", message_id: str = "<1@bank.example>") -> Mail:
    return Mail(message_id, USER, recipient, "Hi", CONTENT)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailServer]:
    running = MailServer(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def tokens() -> Iterator[TokenEndpoint]:
    endpoint = TokenEndpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture(autouse=True)
def trusting(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server's own certificate is the only one that is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    smtp._trust.cache_clear()
    yield
    smtp._trust.cache_clear()


def settings_of(server: MailServer) -> SmtpServer:
    return SmtpServer("127.0.0.1", server.port, SmtpTls(server.tls), USER, SecretStr(PASSWORD), None)


def by_oauth(server: MailServer, endpoint: TokenEndpoint) -> SmtpServer:
    client = OAuthClient("id", SecretStr("canary-secret"), SecretStr("canary-refresh"), endpoint.url)
    return replace(settings_of(server), password=None, oauth=client)


@asynccontextmanager
async def outlet_of(settings: SmtpServer) -> AsyncIterator[SmtpOutlet]:
    outlet = SmtpOutlet(settings)
    yield outlet
    await outlet.aclose()
    await turns_of_the_loop()


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_mail_arrives_whole_over_tls_after_a_login(server: MailServer, tls: str) -> None:
    server.tls = tls
    server.start()
    async with outlet_of(settings_of(server)) as outlet:
        await outlet.hand_over(mail())
    [arrived] = server.received
    assert (arrived.sender, arrived.recipient, arrived.content) == (USER, "ann@example.com", CONTENT)
    assert server.logins == ["PLAIN"] if tls == "starttls" else True


async def test_many_mails_use_one_connection_and_one_login(server: MailServer) -> None:
    server.start()
    async with outlet_of(settings_of(server)) as outlet:
        for number in range(5):
            await outlet.hand_over(mail(message_id=f"<{number}@bank.example>"))
    assert len(server.received) == 5
    assert len(server.logins) == 1


async def test_a_connection_that_the_server_closed_meanwhile_costs_nothing(server: MailServer) -> None:
    server.start()
    async with outlet_of(settings_of(server)) as outlet:
        await outlet.hand_over(mail())
        server.stop()
        server.start()
        await outlet.hand_over(mail())
    assert len(server.received) == 2


async def test_no_password_is_sent_where_the_server_offers_no_tls(server: MailServer) -> None:
    server.tls = "none"
    server.start()
    async with outlet_of(replace(settings_of(server), tls=SmtpTls.STARTTLS)) as outlet:
        with pytest.raises(Later, match="STARTTLS"):
            await outlet.hand_over(mail())
    assert (server.logins, server.received) == ([], [])


async def test_no_password_is_sent_to_a_server_with_a_strange_certificate(
    server: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    other = MailServer(tmp_path / "other")
    monkeypatch.setenv("SSL_CERT_FILE", str(other.certificate))
    smtp._trust.cache_clear()
    for tls in ("starttls", "tls"):
        server.tls = tls
        server.start()
        async with outlet_of(settings_of(server)) as outlet:
            with pytest.raises(Later, match="certificate is not trusted"):
                await outlet.hand_over(mail())
        server.stop()
    assert (server.logins, server.received) == ([], [])


async def test_a_wrong_password_makes_mail_wait_and_is_in_no_reason(server: MailServer) -> None:
    server.start()
    wrong = replace(settings_of(server), password=SecretStr("canary-wrong"))
    async with outlet_of(wrong) as outlet:
        with pytest.raises(Later, match=r"refused the login \(535 5.7.8\)") as verdict:
            await outlet.hand_over(mail())
    assert "canary" not in verdict.value.reason
    assert server.received == []


# ── whose fault a refusal is ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("550 5.1.1 no such user", SetAside),
        ("554 no", SetAside),
        ("451 4.7.1 greylisted", Later),
        ("452 full", Later),
    ],
)
@pytest.mark.parametrize("stage", ["recipient", "data"])
async def test_a_refusal_of_one_mail_is_for_good_or_for_now_and_harms_no_other(
    server: MailServer, stage: str, answer: str, verdict: type[Exception]
) -> None:
    server.start()
    getattr(server, f"{stage}_answers")["ann@example.com"] = [answer]
    async with outlet_of(settings_of(server)) as outlet:
        with pytest.raises(verdict, match=answer[:3]):
            await outlet.hand_over(mail())
        await outlet.hand_over(mail("bob@example.com"))
        await outlet.hand_over(mail())
    assert [one.recipient for one in server.received] == ["bob@example.com", "ann@example.com"]
    assert len(server.logins) == 1


async def test_a_refused_sender_is_our_fault_and_no_mail_is_set_aside_for_it(server: MailServer) -> None:
    server.start()
    server.refused_senders[USER] = "553 5.7.1 not yours"
    async with outlet_of(settings_of(server)) as outlet:
        with pytest.raises(Later, match=r"refused the sender \(553 5.7.1\)"):
            await outlet.hand_over(mail())


async def test_an_address_that_the_server_cannot_take_is_set_aside(server: MailServer) -> None:
    server.utf8 = False
    server.start()
    async with outlet_of(settings_of(server)) as outlet:
        with pytest.raises(SetAside, match="cannot be written to"):
            await outlet.hand_over(mail("änn@example.com"))
        await outlet.hand_over(mail())
    assert len(server.received) == 1


async def test_an_address_beyond_ascii_is_written_to_where_the_server_can(server: MailServer) -> None:
    server.start()
    async with outlet_of(settings_of(server)) as outlet:
        await outlet.hand_over(mail("änn@example.com"))
    assert server.received[0].recipient == "änn@example.com"


async def test_an_answer_that_is_lost_makes_the_mail_wait(server: MailServer) -> None:
    server.start()
    server.data_answers["ann@example.com"] = ["lost"]
    async with outlet_of(settings_of(server)) as outlet:
        with pytest.raises(Later, match="closed the connection"):
            await outlet.hand_over(mail())
        await outlet.hand_over(mail())
    assert [one.content for one in server.received] == [CONTENT] * 2


async def test_an_answer_that_comes_late_is_not_taken_for_another(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "TIMEOUT_S", LATE_S / 2)
    server.start()
    server.data_answers["ann@example.com"] = ["late", "late"]
    async with outlet_of(settings_of(server)) as outlet:
        for _ in range(2):
            with pytest.raises(Later, match="did not answer in time"):
                await outlet.hand_over(mail())
        server.recipient_answers["eve@example.com"] = ["550 no such user"]
        with pytest.raises(SetAside, match="550"):
            await outlet.hand_over(mail("eve@example.com"))
        await outlet.hand_over(mail("bob@example.com"))
    assert [one.recipient for one in server.received] == ["ann@example.com"] * 2 + ["bob@example.com"]


async def test_a_server_that_takes_connections_and_no_mail_is_left_alone_longer_each_time(
    server: MailServer,
) -> None:
    now = 0.0
    server.start()
    server.refused_senders[USER] = "553 5.7.1 not yours"
    outlet = SmtpOutlet(settings_of(server), clock=lambda: now)
    with capture_logs() as log:
        for _ in range(3):
            with pytest.raises(Later):
                await outlet.hand_over(mail())
            now = outlet._paused_until
        assert now == sum(smtp._PAUSES_S[:3])
        server.refused_senders.clear()
        await outlet.hand_over(mail())
    assert [one["event"] for one in log] == ["mail_server_fails", "mail_server_back"]
    await outlet.aclose()
    await turns_of_the_loop()


async def test_a_server_that_is_away_is_asked_by_one_mail_at_a_time(server: MailServer) -> None:
    """After a failure the others wait, and the first to try again finds out for all."""
    now = 0.0
    server.start()
    server.stop()
    outlet = SmtpOutlet(settings_of(server), clock=lambda: now)
    for _ in range(3):
        with pytest.raises(Later, match="cannot be reached"):
            await outlet.hand_over(mail())
        now += 100
    server.start()
    await outlet.hand_over(mail())
    assert len(server.received) == 1
    await outlet.aclose()
    await turns_of_the_loop()


# ── OAuth2 ───────────────────────────────────────────────────────────────────────────────────────────


async def test_one_token_lets_many_mails_in(server: MailServer, tokens: TokenEndpoint) -> None:
    server.tokens = {"canary-token-1"}
    server.start()
    async with outlet_of(by_oauth(server, tokens)) as outlet:
        await outlet.hand_over(mail())
        server.stop()
        server.start()
        await outlet.hand_over(mail())
    assert len(server.received) == 2
    assert server.logins == ["XOAUTH2", "XOAUTH2"]
    assert tokens.asked == [
        {
            "grant_type": "refresh_token",
            "client_id": "id",
            "client_secret": "canary-secret",
            "refresh_token": "canary-refresh",
        }
    ]


async def test_a_token_that_is_refused_is_renewed_once(server: MailServer, tokens: TokenEndpoint) -> None:
    server.tokens = {"canary-token-2"}
    server.start()
    async with outlet_of(by_oauth(server, tokens)) as outlet:
        await outlet.hand_over(mail())
    assert len(server.received) == 1
    assert tokens.tokens == ["canary-token-1", "canary-token-2"]


async def test_a_token_that_ends_soon_is_renewed_before_it_does(
    server: MailServer, tokens: TokenEndpoint
) -> None:
    now = 0.0
    server.tokens = {"canary-token-1", "canary-token-2"}
    server.start()
    outlet = SmtpOutlet(by_oauth(server, tokens), clock=lambda: now)
    await outlet.hand_over(mail())
    now = 3600 - 59
    await outlet.hand_over(mail())
    assert tokens.tokens == ["canary-token-1", "canary-token-2"]
    await outlet.aclose()
    await turns_of_the_loop()


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        ((400, b'{"error":"invalid_grant","error_description":"canary"}'), "400, invalid_grant"),
        ((500, b"canary"), "refused \\(500\\)"),
        ((200, b"{}"), "an answer that is none"),
        ((200, b'{"access_token":"a\\u0001b"}'), "a token that cannot be sent"),
    ],
)
async def test_without_a_token_mail_waits_and_nothing_secret_is_told(
    server: MailServer, tokens: TokenEndpoint, refusal: tuple[int, bytes], reason: str
) -> None:
    server.start()
    tokens.refusal = refusal
    async with outlet_of(by_oauth(server, tokens)) as outlet:
        with pytest.raises(Later, match=reason) as verdict:
            await outlet.hand_over(mail())
    assert "canary" not in verdict.value.reason
    assert server.received == []


async def test_a_token_endpoint_that_is_away_makes_mail_wait(server: MailServer, tokens: TokenEndpoint) -> None:
    server.start()
    settings = by_oauth(server, tokens)
    tokens.close()
    async with outlet_of(settings) as outlet:
        with pytest.raises(Later, match="token endpoint cannot be reached"):
            await outlet.hand_over(mail())
