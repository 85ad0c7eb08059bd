"""What the settings say about e-mail, checked and put together: where it goes, and as whom.

Asked for by whoever sends mail, when it starts: a command that sends none does not care.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr

from nostro.settings import Environment, MailMode, Settings, SettingsError, SmtpTls

GMAIL = "smtp.gmail.com"
_TLS_PORT = 465
_ADDRESS = re.compile(r"[^@\s<>()\[\]\\,;:\"]+@[^@\s<>()\[\]\\,;:\"]+")

_EVERYWHERE = re.compile(r"0\.0\.0\.0|\[::\]")
_URL = re.compile(r"https?://[!#-;=?-~]+")  # it stands in headers and HTML: no spaces, quotes, < or >


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """What an access token is fetched with."""

    client_id: str
    client_secret: SecretStr
    refresh_token: SecretStr
    token_url: str


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The server mail is handed to. `oauth` and `password` are never both there; neither: no AUTH."""

    host: str
    port: int
    tls: SmtpTls
    user: str | None
    password: SecretStr | None
    oauth: OAuthClient | None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who the mail is from. `public_url`, without a slash at its end, begins every link."""

    house: str
    address: str
    public_url: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class MailPlan:
    """Where mail goes. `server` is there if by SMTP, `sender` unless mail is off."""

    mode: MailMode
    server: SmtpServer | None = None
    sender: Sender | None = None

    @property
    def described(self) -> str:
        """For the log: no secret is in it."""
        if self.server is not None:
            return f"by {self.server.host}:{self.server.port}"
        if self.mode is MailMode.CAPTURE:
            return "captured at /dev/mail; nothing leaves this machine"
        return "off; SMTP_HOST or EMAIL_USER turns it on"


MAIL_OFF = MailPlan(MailMode.OFF)


def mail_plan(settings: Settings, served_at: str) -> MailPlan:
    """`served_at`: the address being served. Raises `SettingsError`."""
    mode = mail_mode(settings)
    return MailPlan(
        mode,
        smtp_server(settings) if mode is MailMode.SMTP else None,
        None if mode is MailMode.OFF else sender(settings, mode, served_at),
    )


def mail_mode(settings: Settings) -> MailMode:
    """Mail leaves the machine only where a server was named; in production nothing is captured."""
    if settings.mail is MailMode.CAPTURE and settings.environment is Environment.PRODUCTION:
        raise SettingsError("NOSTRO_MAIL: capture is for development; whoever comes by could read all mail.")
    if settings.mail is not None:
        return settings.mail
    if settings.smtp_host or settings.email_user:
        return MailMode.SMTP
    return MailMode.CAPTURE if settings.environment is Environment.DEVELOPMENT else MailMode.OFF


def smtp_server(settings: Settings) -> SmtpServer:
    """Raises `SettingsError` naming the setting that is missing, contradicts another or is not safe."""
    host = settings.smtp_host or (GMAIL if settings.email_user else None)
    if host is None:
        raise SettingsError("SMTP_HOST: name the server that takes the mail, or EMAIL_USER for Gmail.")
    server = SmtpServer(
        host=host,
        port=settings.smtp_port,
        tls=settings.smtp_tls or (SmtpTls.TLS if settings.smtp_port == _TLS_PORT else SmtpTls.STARTTLS),
        user=settings.email_user,
        password=settings.email_pass,
        oauth=_oauth(settings),
    )
    _refuse_half_a_login(server)
    if server.tls is SmtpTls.NONE and server.user and not _is_loopback(host):
        raise SettingsError("SMTP_TLS: none would send the password in clear; use starttls or tls.")
    return server


def _refuse_half_a_login(server: SmtpServer) -> None:
    if server.password and server.oauth:
        raise SettingsError("EMAIL_PASS: give a password or CLIENT_ID with REFRESH_TOKEN, not both.")
    if (server.password or server.oauth) and not server.user:
        raise SettingsError("EMAIL_USER: name the mailbox that EMAIL_PASS or CLIENT_ID belongs to.")
    if server.user and not (server.password or server.oauth):
        raise SettingsError("EMAIL_PASS: EMAIL_USER needs a password, or CLIENT_ID with REFRESH_TOKEN.")


def _oauth(settings: Settings) -> OAuthClient | None:
    given = {
        "CLIENT_ID": settings.client_id,
        "CLIENT_SECRET": settings.client_secret,
        "REFRESH_TOKEN": settings.refresh_token,
    }
    missing = [name for name, value in given.items() if not value]
    if len(missing) == len(given):
        return None
    if not (settings.client_id and settings.client_secret and settings.refresh_token):
        raise SettingsError(f"{missing[0]}: OAuth2 needs CLIENT_ID, CLIENT_SECRET and REFRESH_TOKEN together.")
    url = urlsplit(settings.oauth_token_url)
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.hostname or "")):
        raise SettingsError("OAUTH_TOKEN_URL: must be https.")
    return OAuthClient(
        settings.client_id, settings.client_secret, settings.refresh_token, settings.oauth_token_url
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def sender(settings: Settings, mode: MailMode, served_at: str) -> Sender:
    """`served_at`: the address being served, which links begin with unless NOSTRO_PUBLIC_URL says otherwise."""
    address = settings.email_from or settings.email_user
    if address is None and mode is MailMode.CAPTURE:
        address = "nostro@localhost"
    if address is None or not _ADDRESS.fullmatch(address):
        raise SettingsError("EMAIL_FROM: must be the e-mail address that mail is from.")
    return Sender(settings.name, address, _public_url(settings, served_at))


def _public_url(settings: Settings, served_at: str) -> str:
    """In production it must be said, and be https: a link to a new password is as good as a password."""
    given = (settings.public_url or _EVERYWHERE.sub("localhost", served_at)).rstrip("/")
    url = urlsplit(given)
    if not (_URL.fullmatch(given) and url.hostname) or url.query or url.fragment:
        raise SettingsError("NOSTRO_PUBLIC_URL: must be a http or https address.")
    if settings.environment is Environment.PRODUCTION and not (settings.public_url and url.scheme == "https"):
        raise SettingsError("NOSTRO_PUBLIC_URL: mail in production needs the https address that links lead to.")
    return given
