"""Everything wired once: settings, database, ledger, HTTP, command line."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import structlog
import uvicorn
import uvloop

from nostro import __version__
from nostro.api.application import Application, with_cors
from nostro.api.authentication import Origins, Tokens
from nostro.api.desk import Desk
from nostro.api.lean import LeanPath
from nostro.api.operations import OPERATIONS
from nostro.api.protocol import LeanProtocol
from nostro.cli.commands import command_line
from nostro.cli.session import Role, Runtime
from nostro.domain.errors import Unavailable
from nostro.embedded import EmbeddedPostgres
from nostro.ledger.currencies import currency_of
from nostro.ledger.resets import PasswordResets
from nostro.ledger.service import Ledger, open_ledger
from nostro.logs import configure_logs
from nostro.settings import Environment, Settings, SettingsError, jwt_secret
from nostro.store.database import RUNTIME_ROLE
from nostro.store.migrate import ensure_database, migrate
from nostro.store.safety import unsafe_settings

log = structlog.get_logger(__name__)

DATABASE = "nostro"
_HOUR_S = 3600
_GRACE_S = 10


@asynccontextmanager
async def database_of(settings: Settings, role: Role) -> AsyncIterator[str]:
    """The migrated database: the external one of the settings, or the embedded one, started if need be.

    `role` "service" owns the data directory while it runs; a "command" works beside a service or without one.
    """
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        await migrate(dsn)
        await _refuse_unsafe(dsn, settings)
        yield dsn
        return
    postgres = EmbeddedPostgres(settings.data_dir, role=role, on_event=_note_postgres)
    try:
        server = await asyncio.to_thread(postgres.start)
        await ensure_database(server.dsn(user="postgres", database="postgres"), DATABASE)
        await migrate(server.dsn(user="postgres", database=DATABASE))
        yield server.dsn(user=RUNTIME_ROLE, database=DATABASE)
    finally:
        await asyncio.to_thread(postgres.stop)


async def _refuse_unsafe(dsn: str, settings: Settings) -> None:
    """In production an unsafe server ends the start; in development it is said and borne."""
    findings = await unsafe_settings(dsn)
    if findings and settings.environment is Environment.PRODUCTION:
        raise SettingsError(f"NOSTRO_DATABASE_URL: {'; '.join(findings)}.")
    for finding in findings:
        log.warning("unsafe_database", finding=finding)


def _listening_socket(settings: Settings) -> socket.socket:
    """Bound before anything else is started, so that a port that is taken ends the start at once."""
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise SettingsError(f"HOST and PORT: cannot listen on {where} ({error.strerror}).") from None


def _note_postgres(event: str, facts: Mapping[str, object]) -> None:
    level = "info" if event in {"initialised", "started"} else "warning"
    getattr(log, level)(f"postgres_{event}", **facts)


@asynccontextmanager
async def open_service(settings: Settings, role: Role) -> AsyncIterator[Ledger]:
    house_currency = currency_of(settings.currency)
    async with (
        database_of(settings, role) as dsn,
        open_ledger(
            dsn,
            house_currency=house_currency,
            frozen_receives=settings.frozen_receives,
        ) as ledger,
    ):
        yield ledger


class _Server(uvicorn.Server):
    """Says when it is ready, and leaves the signals to us: uvicorn would end the process with them."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings

    async def startup(self, sockets: object = None) -> None:
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            _announce(self._settings, f"http://{f'[{host}]' if ':' in host else host}:{port}")

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def _announce(settings: Settings, url: str) -> None:
    database = "external PostgreSQL" if settings.database_url else f"embedded, in {settings.data_dir.resolve()}"
    print(  # noqa: T201 - the banner, and the line that says the service is ready
        f"\n  Nostro {__version__}   {settings.environment.value}, dialect {settings.dialect.value}\n"
        f"  API        {url}/api\n"
        f"  Try it     {url}/docs\n"
        f"  Database   {database}\n"
        f"  Stop       Ctrl-C (the data stays)\n\n"
        f"NOSTRO READY {url}",
        flush=True,
    )


async def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; then finish what is in flight, stop the database, keep the data."""
    configure_logs(settings.log_level)
    listening = _listening_socket(settings)
    async with open_service(settings, "service") as ledger:
        origins = Origins(settings.allowed_origins, development=settings.environment is Environment.DEVELOPMENT)
        secret = jwt_secret(settings)
        desk = Desk(
            ledger,
            Tokens(secret, settings.token_lifetime_s),
            origins,
            settings.dialect,
            PasswordResets(ledger.database, ledger.users.passwords, secret),
        )
        config = uvicorn.Config(
            with_cors(Application(desk, OPERATIONS), origins),
            http=partial(LeanProtocol, LeanPath(desk)),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        chores = asyncio.create_task(_chores(ledger))
        # What is there now stays for ever; a request makes no cycles, so looking for some may wait longer.
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        try:
            await _Server(config, settings).serve(sockets=[listening])
        finally:
            chores.cancel()


async def _chores(ledger: Ledger) -> None:
    while True:
        with contextlib.suppress(Unavailable):
            await ledger.users.forget_expired_tokens()
        await asyncio.sleep(_HOUR_S)


def main() -> None:
    configure_logs()
    sys.exit(command_line(Runtime(open_service, serve, uvloop.run)))
