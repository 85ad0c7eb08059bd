"""Settings: the environment, over a `.env` file, over defaults; read once at start.

Names are those the five systems use where they have one. Any secret may come from a file instead: NAME_FILE
holds the path.
"""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from nostro.domain.destination import Destinations, parse_allowed

SHORTEST_PRODUCTION_SECRET = 32
_SECRETS = (
    *("JWT_SECRET", "NOSTRO_DATABASE_URL", "NOSTRO_NATS_URL", "NOSTRO_AMQP_URL"),
    *("EMAIL_PASS", "CLIENT_SECRET", "REFRESH_TOKEN"),
)


class SettingsError(Exception):
    """One sentence for the operator, naming the setting."""


class Environment(Enum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class DialectName(Enum):
    BACKEND_LEDGER = "backend-ledger"
    LEDGERFLOW = "ledgerflow"
    BANKING_LEDGER = "banking-ledger"


class MetricsReaders(Enum):
    LOOPBACK = "loopback"
    EVERYBODY = "everybody"
    NOBODY = "nobody"


class MailMode(Enum):
    """Where e-mails go: to an SMTP server, into the mailbox of development, or nowhere."""

    SMTP = "smtp"
    CAPTURE = "capture"
    OFF = "off"


class SmtpTls(Enum):
    """TLS asked for by STARTTLS, from the first byte, or not at all."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class Settings(BaseSettings):
    """Every setting with its default. Secrets show as asterisks wherever they are printed."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", populate_by_name=True, frozen=True
    )

    host: str = Field("127.0.0.1", alias="HOST")
    port: int = Field(3000, alias="PORT", ge=0, le=65535)
    data_dir: Path = Field(Path("var"), alias="NOSTRO_DATA_DIR")
    database_url: SecretStr | None = Field(None, alias="NOSTRO_DATABASE_URL")
    jwt_secret: SecretStr | None = Field(None, alias="JWT_SECRET")
    environment: Environment = Field(Environment.DEVELOPMENT, alias="NOSTRO_ENV")
    currency: str = Field("INR", alias="NOSTRO_CURRENCY")
    dialect: DialectName = Field(DialectName.BACKEND_LEDGER, alias="NOSTRO_DIALECT")
    cors_origins: str = Field("", alias="NOSTRO_CORS_ORIGINS")
    frozen_receives: bool = Field(False, alias="NOSTRO_FROZEN_RECEIVES")
    metrics: MetricsReaders = Field(MetricsReaders.LOOPBACK, alias="NOSTRO_METRICS")
    workers: int = Field(1, alias="NOSTRO_WORKERS", ge=1, le=32)
    statement_notices: bool = Field(True, alias="NOSTRO_STATEMENT_NOTICES")
    followers: bool = Field(True, alias="NOSTRO_FOLLOWERS")
    request_timeout_s: float = Field(60.0, alias="NOSTRO_REQUEST_TIMEOUT_S", ge=0.1, le=3600)
    streams: int = Field(2000, alias="NOSTRO_STREAMS", ge=0, le=100_000)
    streams_per_user: int = Field(20, alias="NOSTRO_STREAMS_PER_USER", ge=1, le=100_000)
    stream_heartbeat_s: float = Field(15.0, alias="NOSTRO_STREAM_HEARTBEAT_S", ge=0.1, le=300)
    nats_url: SecretStr | None = Field(None, alias="NOSTRO_NATS_URL")
    amqp_url: SecretStr | None = Field(None, alias="NOSTRO_AMQP_URL")
    webhook_allow: str = Field("", alias="NOSTRO_WEBHOOK_ALLOW")
    log_level: str = Field("info", alias="NOSTRO_LOG_LEVEL")
    name: str = Field("Nostro", alias="NOSTRO_NAME")
    public_url: str | None = Field(None, alias="NOSTRO_PUBLIC_URL")
    mail: MailMode | None = Field(None, alias="NOSTRO_MAIL")
    smtp_host: str | None = Field(None, alias="SMTP_HOST")
    smtp_port: int = Field(587, alias="SMTP_PORT", ge=1, le=65535)
    smtp_tls: SmtpTls | None = Field(None, alias="SMTP_TLS")
    email_user: str | None = Field(None, alias="EMAIL_USER")
    email_pass: SecretStr | None = Field(None, alias="EMAIL_PASS")
    email_from: str | None = Field(None, alias="EMAIL_FROM")
    client_id: str | None = Field(None, alias="CLIENT_ID")
    client_secret: SecretStr | None = Field(None, alias="CLIENT_SECRET")
    refresh_token: SecretStr | None = Field(None, alias="REFRESH_TOKEN")
    oauth_token_url: str = Field("https://oauth2.googleapis.com/token", alias="OAUTH_TOKEN_URL")

    @field_validator("nats_url")
    @classmethod
    def _nats(cls, url: SecretStr | None) -> SecretStr | None:
        servers = url.get_secret_value().split(",") if url else []
        if not all(server.strip().startswith(("nats://", "tls://", "ws://", "wss://")) for server in servers):
            raise ValueError("must be nats://… or tls://…, several separated by commas")
        return url

    @field_validator("amqp_url")
    @classmethod
    def _amqp(cls, url: SecretStr | None) -> SecretStr | None:
        if url and not url.get_secret_value().startswith(("amqp://", "amqps://")):
            raise ValueError("must be amqp://… or amqps://…")
        return url

    @field_validator("currency")
    @classmethod
    def _upper_case(cls, code: str) -> str:
        return code.strip().upper()

    @field_validator("webhook_allow")
    @classmethod
    def _destinations(cls, text: str) -> str:
        parse_allowed(text)
        return text

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, level: str) -> str:
        if level.lower() not in {"debug", "info", "warning", "error"}:
            raise ValueError("must be debug, info, warning or error")
        return level.lower()

    @field_validator(
        "mail",
        "smtp_host",
        "smtp_tls",
        "email_user",
        "email_pass",
        "email_from",
        "public_url",
        "client_id",
        "client_secret",
        "refresh_token",
        mode="before",
    )
    @classmethod
    def _empty_is_absent(cls, value: object) -> object:
        """The .env files of old leave unused lines of mail empty."""
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("name")
    @classmethod
    def _one_line(cls, name: str) -> str:
        if not 1 <= len(name.strip()) <= 60 or not name.isprintable():
            raise ValueError("must be one line of 1 to 60 printable characters")
        return name.strip()

    @model_validator(mode="after")
    def _strong_in_production(self) -> "Settings":
        secret = self.jwt_secret.get_secret_value() if self.jwt_secret else None
        if self.environment is Environment.PRODUCTION and secret is not None:
            if len(secret) < SHORTEST_PRODUCTION_SECRET or len(set(secret)) < 8:
                raise ValueError(
                    f"JWT_SECRET must have at least {SHORTEST_PRODUCTION_SECRET} characters, not all alike, "
                    "in production"
                )
            if self.allowed_origins == ["*"]:
                raise ValueError("NOSTRO_CORS_ORIGINS must name its origins in production")
        return self

    @property
    def broker_urls(self) -> dict[str, str]:
        """Of the brokers that are set, by environment name, secrets in clear."""
        urls = {"NOSTRO_NATS_URL": self.nats_url, "NOSTRO_AMQP_URL": self.amqp_url}
        return {name: url.get_secret_value() for name, url in urls.items() if url is not None}

    @property
    def allowed_origins(self) -> list[str]:
        return [origin.strip().rstrip("/") for origin in self.cors_origins.split(",") if origin.strip()]

    @property
    def destinations(self) -> Destinations:
        """Where webhooks may go."""
        networks, hosts = parse_allowed(self.webhook_allow)
        return Destinations(networks, hosts, https_only=self.environment is Environment.PRODUCTION)

    @property
    def token_lifetime_s(self) -> int:
        days = 7 if self.dialect is DialectName.BANKING_LEDGER else 3
        return days * 24 * 3600

    def shown(self) -> dict[str, str]:
        """By environment name, as text, secrets masked."""
        return {name: _shown(value) for name, value in self._by_name()}

    def handed_on(self) -> dict[str, str]:
        """What is set, by environment name, secrets in clear: for a process of our own, through a pipe."""
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else _shown(value)
            for name, value in self._by_name()
            if value is not None
        }

    def _by_name(self) -> Iterator[tuple[str, Any]]:
        for name, field in type(self).model_fields.items():
            yield str(field.alias), getattr(self, name)


def settings_handed_on(values: dict[str, str]) -> Settings:
    """The settings of the process that handed them on, whatever has become of its environment since."""
    return Settings(_env_file=None, **values)  # type: ignore[arg-type, call-arg]


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value.value if isinstance(value, Enum) else value)


def load_settings(**overrides: object) -> Settings:
    """Settings with `overrides` (by field name, None ignored) on top; `SettingsError` names what is wrong."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**(_secrets_from_files() | given))  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        # The input is left out on purpose: it may be a secret.
        raise SettingsError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


def _secrets_from_files() -> dict[str, str]:
    found = {}
    for name in _SECRETS:
        path = os.environ.get(f"{name}_FILE")
        if path:
            try:
                found[name] = Path(path).read_text("utf-8").strip()
            except OSError as error:
                raise SettingsError(f"{name}_FILE: {path} cannot be read ({error.strerror})") from None
    return found


def jwt_secret(settings: Settings) -> bytes:
    """The signing secret; made on the first run and kept in the data directory, readable by its owner only."""
    if settings.jwt_secret is not None:
        return settings.jwt_secret.get_secret_value().encode()
    path = settings.data_dir / "jwt_secret"
    if not path.exists():
        _make_secret(path)
    return path.read_bytes().strip()


def _make_secret(path: Path) -> None:
    """Two processes may make one at once: the first to link its file wins, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".jwt_secret.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(descriptor)
        if os.geteuid() == 0:
            # Root working on somebody's directory must not lock them out of their own service.
            owner = path.parent.stat()
            os.chown(draft, owner.st_uid, owner.st_gid)
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()
