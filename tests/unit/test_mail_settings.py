"""What the settings say about mail: where it goes by default, what is missing, contradicts or is not safe."""

from pathlib import Path

import pytest

from nostro.mail_settings import mail_plan
from nostro.settings import MailMode, SettingsError, SmtpTls, load_settings

NAMES = (
    *("NOSTRO_ENV", "NOSTRO_MAIL", "NOSTRO_NAME", "NOSTRO_PUBLIC_URL", "SMTP_HOST", "SMTP_PORT", "SMTP_TLS"),
    *(
        "EMAIL_USER",
        "EMAIL_PASS",
        "EMAIL_FROM",
        "CLIENT_ID",
        "CLIENT_SECRET",
        "REFRESH_TOKEN",
        "OAUTH_TOKEN_URL",
    ),
)
LOGIN = {"EMAIL_USER": "house@gmail.com", "EMAIL_PASS": "canary"}
PRODUCTION = {"NOSTRO_ENV": "production", "NOSTRO_PUBLIC_URL": "https://bank.example"}
OAUTH = {
    "EMAIL_USER": "house@gmail.com",
    "CLIENT_ID": "id",
    "CLIENT_SECRET": "canary",
    "REFRESH_TOKEN": "canary",
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def plan(monkeypatch: pytest.MonkeyPatch, **environment: str):  # type: ignore[no-untyped-def]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return mail_plan(load_settings(), "http://127.0.0.1:3000")


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({}, MailMode.CAPTURE),
        ({"NOSTRO_ENV": "production"}, MailMode.OFF),
        (LOGIN, MailMode.SMTP),
        (LOGIN | {"NOSTRO_MAIL": "capture"}, MailMode.CAPTURE),
        (LOGIN | {"NOSTRO_MAIL": "off"}, MailMode.OFF),
        (LOGIN | PRODUCTION, MailMode.SMTP),
        ({"EMAIL_USER": "", "EMAIL_PASS": "", "SMTP_HOST": " "}, MailMode.CAPTURE),
    ],
)
def test_mail_leaves_the_machine_only_where_somebody_said_how(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], mode: MailMode
) -> None:
    assert plan(monkeypatch, **environment).mode is mode


def test_a_gmail_login_needs_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(monkeypatch, **LOGIN)
    assert (made.server.host, made.server.port, made.server.tls) == ("smtp.gmail.com", 587, SmtpTls.STARTTLS)
    assert (made.sender.address, made.sender.public_url) == ("house@gmail.com", "http://127.0.0.1:3000")


@pytest.mark.parametrize("everywhere", ["http://0.0.0.0:3000", "http://[::]:3000"])
def test_links_lead_to_this_machine_when_it_listens_everywhere(
    monkeypatch: pytest.MonkeyPatch, everywhere: str
) -> None:
    assert mail_plan(load_settings(), everywhere).sender.public_url == "http://localhost:3000"


def test_oauth2_needs_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(monkeypatch, **OAUTH)
    assert made.server.oauth.token_url == "https://oauth2.googleapis.com/token"
    assert made.server.password is None


def test_port_465_is_tls_from_the_first_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan(monkeypatch, **LOGIN, SMTP_PORT="465").server.tls is SmtpTls.TLS


def test_a_relay_on_the_same_machine_needs_neither_tls_nor_login(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(monkeypatch, SMTP_HOST="localhost", SMTP_TLS="none", EMAIL_FROM="house@bank.example")
    assert (made.server.tls, made.server.user) == (SmtpTls.NONE, None)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"NOSTRO_MAIL": "smtp"}, "SMTP_HOST"),
        ({"NOSTRO_MAIL": "capture", "NOSTRO_ENV": "production"}, "NOSTRO_MAIL"),
        ({"EMAIL_USER": "house@gmail.com"}, "EMAIL_PASS"),
        ({"SMTP_HOST": "mail.example", "EMAIL_PASS": "canary"}, "EMAIL_USER"),
        (LOGIN | OAUTH, "EMAIL_PASS"),
        ({name: value for name, value in OAUTH.items() if name != "REFRESH_TOKEN"}, "REFRESH_TOKEN"),
        (OAUTH | {"OAUTH_TOKEN_URL": "http://tokens.example/token"}, "OAUTH_TOKEN_URL"),
        (LOGIN | {"SMTP_HOST": "mail.example", "SMTP_TLS": "none"}, "SMTP_TLS"),
        ({"SMTP_HOST": "mail.example"}, "EMAIL_FROM"),
        (LOGIN | {"EMAIL_FROM": "no address"}, "EMAIL_FROM"),
        (LOGIN | {"EMAIL_FROM": "a@b.c\r\nBcc: evil@example.com"}, "EMAIL_FROM"),
        (LOGIN | {"NOSTRO_ENV": "production"}, "NOSTRO_PUBLIC_URL"),
        (LOGIN | PRODUCTION | {"NOSTRO_PUBLIC_URL": "http://bank.example"}, "NOSTRO_PUBLIC_URL"),
        (LOGIN | {"NOSTRO_PUBLIC_URL": "javascript:alert(1)"}, "NOSTRO_PUBLIC_URL"),
        (LOGIN | {"NOSTRO_PUBLIC_URL": "https://bank.example/?a=b"}, "NOSTRO_PUBLIC_URL"),
        (LOGIN | {"NOSTRO_PUBLIC_URL": "https://bank.example/ x"}, "NOSTRO_PUBLIC_URL"),
        (LOGIN | {"NOSTRO_NAME": "Bank\r\nBcc: evil@example.com"}, "NOSTRO_NAME"),
    ],
)
def test_what_is_missing_contradicts_or_is_not_safe_is_told_by_its_name(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsError, match=named) as refused:
        plan(monkeypatch, **environment)
    assert "canary" not in str(refused.value)


def test_where_mail_goes_is_told_without_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(monkeypatch, **OAUTH)
    assert made.described == "by smtp.gmail.com:587"
    assert "canary" not in repr(made)
