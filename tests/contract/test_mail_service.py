"""A service that sends by a real SMTP server, and `nostro mail test`; neither tells a secret."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nostro.followers import smtp
from tests.contract.conftest import House
from tests.contract.mails import until
from tests.contract.test_cli import Completed, Nostro, nostro  # noqa: F401 - a fixture
from tests.mail_server import PASSWORD, USER, MailServer, TokenEndpoint

pytestmark = pytest.mark.slow


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


def by_oauth(server: MailServer, tokens: TokenEndpoint) -> dict[str, str]:
    return server.environment(
        EMAIL_PASS="",
        CLIENT_ID="a-client",
        CLIENT_SECRET="canary-client-secret",
        REFRESH_TOKEN="canary-refresh-token",
        OAUTH_TOKEN_URL=tokens.url,
    )


@pytest.mark.parametrize("login", ["password", "oauth"])
def test_a_service_sends_by_starttls_and_a_login_and_tells_no_secret(
    open_house: Callable[..., House], server: MailServer, tokens: TokenEndpoint, login: str
) -> None:
    server.tokens = {"canary-token-1"}
    server.start()
    settings = server.environment() if login == "password" else by_oauth(server, tokens)
    house = open_house(NOSTRO_LOG_LEVEL="debug", NOSTRO_PUBLIC_URL="https://bank.example", **settings)
    ann, account = house.funded("100")
    assert ann.send(account, ann.open_account(), "10.50").status_code == 201
    house.client.request("POST", "/api/auth/forgot-password", {"email": ann.email})
    server.wait_until(lambda mails: len([mail for mail in mails if mail.recipient == ann.email]) == 5)
    assert set(server.logins) == {"PLAIN" if login == "password" else "XOAUTH2"}
    by_subject = {str(mail.message["Subject"]): mail for mail in server.to(ann.email)}
    sent = by_subject["Transaction Successful!"]
    assert sent.sender == USER
    assert "You sent ₹10.50 to" in sent.text
    assert "₹89.50" in sent.html
    assert str(sent.message["List-Unsubscribe"]).startswith("<https://bank.example/unsubscribe?token=")
    reset = by_subject["Set a new Nostro password"]
    assert "https://bank.example/reset-password#token=" in reset.text
    token = reset.text.partition("token=")[2].partition("&")[0].partition(".")[2]

    log = house.service.log.read_text()
    shown = house.service.command("config", "--json").stdout
    stored = str([dict(row) for row in house.tables.rows("SELECT payload::text, last_error FROM deliveries")])
    assert f"by 127.0.0.1:{server.port}" in log
    assert json.loads(shown)["NOSTRO_MAIL"] == "smtp"
    for secret in (PASSWORD, "canary", token):
        assert secret not in log + shown + stored
    assert house.client.request("GET", "/dev/mail").status_code == 404


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_name_with_line_breaks_in_it_writes_no_header(
    open_house: Callable[..., House], server: MailServer, workers: str
) -> None:
    """Such a name is refused over HTTP; whoever imports users may bring one along."""
    server.start()
    house = open_house(NOSTRO_WORKERS=workers, **server.environment())
    ann, account = house.funded(100)
    house.tables.rows("UPDATE users SET name = $1 WHERE email = $2", "Ann\r\nBcc: evil@example.com", ann.email)
    ann.send(account, ann.open_account(), 1)
    server.wait_until(lambda mails: len(mails) == 4)
    assert {mail.recipient for mail in server.received} == {ann.email}
    for mail in server.to(ann.email):
        assert mail.message["Bcc"] is None
        assert [address.addr_spec for address in mail.message["To"].addresses] == [ann.email]


def test_an_address_with_line_breaks_in_it_is_written_to_by_nobody(
    open_house: Callable[..., House], server: MailServer
) -> None:
    server.start()
    house = open_house(**server.environment())
    ann, bob = house.client.register("Ann"), house.client.register("Bob")
    server.wait_until(lambda mails: len(mails) == 2)
    evil = f"{ann.email}\r\nbcc: evil@example.com"
    house.tables.rows("UPDATE users SET email = $1 WHERE email = $2", evil, ann.email)
    house.system.fund(ann.open_account(), 1)
    house.system.fund(bob.open_account(), 1)
    query = "SELECT last_error FROM deliveries WHERE status = 'SET_ASIDE'"
    [set_aside] = until(lambda: house.tables.rows(query), bool)
    assert set_aside["last_error"] == "what the reader has for an address is none"
    arrived = server.wait_until(lambda mails: len(mails) == 3)
    assert {mail.recipient for mail in arrived} == {ann.email, bob.email}


# ── nostro mail test ─────────────────────────────────────────────────────────────────────────────────

STEPS = ["name", "connection", "TLS", "login", "sender", "recipient", "message"]


def tried(done: Completed) -> tuple[dict[str, bool], str]:
    """Each step and whether it worked; all that was said."""
    said = json.loads(done.stdout)
    steps = {step["step"]: step["works"] for step in said["steps"]}
    assert said["works"] is (done.returncode == 0) is all(steps.values())
    return steps, done.stdout + done.stderr


@pytest.fixture
def try_mail(nostro: Nostro, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Completed]:  # noqa: F811
    def run(address: str, *options: str, **environment: str) -> Completed:
        smtp._trust.cache_clear()
        return nostro("mail", "test", address, *options, **environment)

    monkeypatch.chdir("/")
    yield run
    smtp._trust.cache_clear()


def test_a_mail_that_gets_through_is_followed_step_by_step(
    try_mail: Callable[..., Completed], server: MailServer
) -> None:
    server.start()
    done = try_mail("ann@example.com", **server.environment())
    assert done.returncode == 0
    assert [line.split()[1] for line in done.stdout.splitlines()] == STEPS
    assert "TLSv1." in done.stdout
    assert PASSWORD not in done.stdout + done.stderr
    [mail] = server.received
    assert mail.recipient == "ann@example.com"
    assert mail.message_id in done.stdout


def test_it_gets_through_with_oauth2_too(
    try_mail: Callable[..., Completed], server: MailServer, tokens: TokenEndpoint
) -> None:
    server.tokens = {"canary-token-1"}
    server.start()
    steps, said = tried(try_mail("ann@example.com", "--json", **by_oauth(server, tokens)))
    assert list(steps) == STEPS
    assert "canary" not in said


@pytest.mark.parametrize(
    ("trouble", "at", "words"),
    [
        ("away", "connection", "cannot be reached"),
        ("no such name", "name", "cannot be reached"),
        ("no STARTTLS", "TLS", "STARTTLS"),
        ("strange certificate", "TLS", "certificate is not trusted"),
        ("wrong password", "login", "refused the login (535"),
        ("refused sender", "sender", "refused the sender (553"),
        ("unknown recipient", "recipient", "refused the recipient (550 5.1.1)"),
        ("refused message", "message", "refused the message (554"),
    ],
)
def test_the_first_step_that_fails_is_told_and_ends_the_trial(
    try_mail: Callable[..., Completed], server: MailServer, trouble: str, at: str, words: str
) -> None:
    settings: dict[str, str] = {}
    server.start()
    match trouble:
        case "away":
            server.stop()
        case "no such name":
            settings["SMTP_HOST"] = "no-such-host.invalid"
        case "no STARTTLS":
            server.stop()
            server.tls = "none"
            server.start()
            settings["SMTP_TLS"] = "starttls"
        case "strange certificate":
            other = server.folder / "other"
            other.mkdir()
            settings["SSL_CERT_FILE"] = str(MailServer(other).certificate)
        case "wrong password":
            settings["EMAIL_PASS"] = "canary-wrong"
        case "refused sender":
            server.refused_senders[USER] = "553 5.7.1 not yours"
        case "unknown recipient":
            server.recipient_answers["ann@example.com"] = ["550 5.1.1 no such user"]
        case "refused message":
            server.data_answers["ann@example.com"] = ["554 5.6.0 spam"]
    done = try_mail("ann@example.com", "--json", **server.environment(**settings))
    steps, said = tried(done)
    assert list(steps) == STEPS[: STEPS.index(at) + 1]
    assert words in said
    assert "canary" not in said
    assert (done.returncode, server.received) == (1, [])


def test_without_a_server_it_says_where_mail_goes(try_mail: Callable[..., Completed]) -> None:
    done = try_mail("ann@example.com")
    assert done.returncode == 1
    assert "captured at /dev/mail" in done.stderr


def test_what_is_no_address_is_refused(try_mail: Callable[..., Completed], server: MailServer) -> None:
    server.start()
    done = try_mail("ann@example.com>\r\nRCPT TO:<evil@example.com", **server.environment())
    assert (done.returncode, "invalid_field" in done.stderr) == (1, True)
    assert server.connections == 0
