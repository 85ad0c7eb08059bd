"""Everything wired once: settings, database, ledger, HTTP, command line."""

import asyncio
import contextlib
import gc
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import structlog
import uvicorn
import uvloop

from nostro import __version__
from nostro.api.application import Application, with_cors
from nostro.api.authentication import Origins, Tokens
from nostro.api.desk import Desk
from nostro.api.familiar import FamiliarHeads
from nostro.api.lean import LeanPath
from nostro.api.operations import OPERATIONS
from nostro.api.protocol import LeanProtocol
from nostro.cli.commands import command_line
from nostro.cli.session import Role, Runtime
from nostro.domain.errors import Unavailable
from nostro.embedded import EmbeddedPostgres
from nostro.followers.brokers import missing_client, open_brokers
from nostro.followers.guard import GuardedTransport
from nostro.followers.mail.assembly import mailing
from nostro.followers.mail.trial import trial_mail
from nostro.followers.running import AnyFollower, following
from nostro.followers.smtp_diagnosis import Step, diagnose
from nostro.followers.webhooks import WebhookFollower
from nostro.ledger.counts import Counts, memory_for
from nostro.ledger.currencies import currency_of
from nostro.ledger.mail_preferences import MailReaders
from nostro.ledger.mailbox import Mailbox
from nostro.ledger.resets import PasswordResets
from nostro.ledger.service import Ledger, open_ledger
from nostro.ledger.standing_orders_runner import StandingOrderRunner
from nostro.ledger.streams import StreamLimits, Streams
from nostro.ledger.sweeper import HOLDERS_AT_ONCE
from nostro.ledger.webhooks import Webhooks, webhook_seal
from nostro.logs import configure_logs
from nostro.mail_settings import MAIL_OFF, mail_plan
from nostro.settings import Environment, MailMode, Settings, SettingsError, jwt_secret
from nostro.store.database import RUNTIME_ROLE
from nostro.store.migrate import ensure_database, migrate
from nostro.store.safety import unsafe_settings
from nostro.workers import BACKLOG, Order, SharedPort, Workers

log = structlog.get_logger(__name__)

DATABASE = "nostro"
_HOUR_S = 3600
_GRACE_S = 10
# Longer than clients and proxies usually keep an idle connection: it is better ended by the side that sends.
_IDLE_S = 75
# Of PostgreSQL's connections: what one API process may take, and what is kept for commands and psql.
_CONNECTIONS_OF_A_PROCESS, _CONNECTIONS_TO_SPARE = 20, 60
# Open files: as many as we ask for if we may, and what requests, database and log need of them.
_MOST_FILES, _FILES_FOR_THE_REST = 65_536, 512


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
    connections = settings.workers * _CONNECTIONS_OF_A_PROCESS + _CONNECTIONS_TO_SPARE
    postgres = EmbeddedPostgres(
        settings.data_dir,
        settings={"max_connections": str(max(100, connections))},
        role=role,
        on_event=_note_postgres,
    )
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
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise SettingsError(f"HOST and PORT: cannot listen on {where} ({error.strerror}).") from None


def _note_postgres(event: str, facts: Mapping[str, object]) -> None:
    level = "info" if event in {"initialised", "started"} else "warning"
    getattr(log, level)(f"postgres_{event}", **facts)


@asynccontextmanager
async def open_service(settings: Settings, role: Role) -> AsyncIterator[Ledger]:
    currency_of(settings.currency)  # an unknown one is refused before anything is started
    async with database_of(settings, role) as dsn, ledger_on(dsn, settings) as ledger:
        yield ledger


def ledger_on(
    dsn: str, settings: Settings, counts: Counts | None = None
) -> AbstractAsyncContextManager[Ledger]:
    return open_ledger(
        dsn,
        house_currency=currency_of(settings.currency),
        frozen_receives=settings.frozen_receives,
        counts=counts,
    )


class _Server(uvicorn.Server):
    """Says when it is ready, and leaves the signals to us: uvicorn would end the process with them."""

    def __init__(self, config: uvicorn.Config, streams: Streams, on_ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._streams = streams
        self._on_ready = on_ready

    async def startup(self, sockets: object = None) -> None:
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            self._on_ready(_url_of(self.servers[0].sockets[0]))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._streams.stop()  # they have no end of their own that could be waited for
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def _url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


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
    currency_of(settings.currency)  # an unknown one is refused before anything is started
    if missing := missing_client(settings.broker_urls):
        raise SettingsError(missing)
    listening = _listening_socket(settings)
    announce = partial(_announce, settings)
    log.info("mail", goes=mail_plan(settings, _url_of(listening)).described)
    async with database_of(settings, "service") as dsn:
        if settings.workers == 1:
            await serve_on(dsn, settings, listening, announce, Counts())
        else:
            await _several(settings, dsn, listening, announce)


async def _several(
    settings: Settings, dsn: str, listening: socket.socket, on_ready: Callable[[str], None]
) -> None:
    url = _url_of(listening)

    def all_ready() -> None:
        listening.close()
        on_ready(url)

    with memory_for(settings.workers) as memory:
        order = Order(settings.handed_on(), dsn, memory.fileno())
        await Workers(settings.workers, order, SharedPort(listening), all_ready).run()


async def serve_on(
    dsn: str, settings: Settings, listening: socket.socket, on_ready: Callable[[str], None], counts: Counts
) -> None:
    """One API process on the migrated database at `dsn`, until SIGINT or SIGTERM."""
    configure_logs(settings.log_level)
    async with (
        ledger_on(dsn, settings, counts) as ledger,
        Streams(ledger.database, _stream_limits(settings), ledger.counts, ledger.recent) as streams,
    ):
        origins = Origins(settings.allowed_origins, development=settings.environment is Environment.DEVELOPMENT)
        secret = jwt_secret(settings)
        mail = mail_plan(settings, _url_of(listening))
        resets = PasswordResets(ledger.database, ledger.users.passwords, secret)
        readers = MailReaders(ledger.database, secret)
        desk = Desk(
            ledger,
            Tokens(secret, settings.token_lifetime_s),
            origins,
            settings.dialect,
            resets,
            readers,
            streams,
            Webhooks(ledger.database, webhook_seal(secret), settings.destinations),
            settings.metrics,
            settings.name,
            Mailbox(ledger.database) if mail.mode is MailMode.CAPTURE else None,
        )
        config = uvicorn.Config(
            with_cors(Application(desk, OPERATIONS), origins),
            http=partial(LeanProtocol, LeanPath(desk), FamiliarHeads(), settings.request_timeout_s),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_IDLE_S,
            timeout_graceful_shutdown=_GRACE_S,
        )
        chores = [asyncio.create_task(_chores(ledger)), asyncio.create_task(_sweep_holds(ledger))]
        if settings.followers:
            runner = StandingOrderRunner(ledger.database, ledger.transfers)
            chores.append(asyncio.create_task(runner.run()))
            if settings.statement_notices:
                chores.append(asyncio.create_task(ledger.statement_notices.run()))
        # What is there now stays for ever; a request makes no cycles, so looking for some may wait longer.
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        try:
            async with (
                open_brokers(settings.broker_urls if settings.followers else {}) as brokers,
                GuardedTransport(settings.destinations) as guarded,
                mailing(mail if settings.followers else MAIL_OFF, ledger, resets, readers) as by_mail,
                following(
                    ledger.database,
                    [*_followers(ledger, settings, secret, guarded), *by_mail, *brokers],
                    ledger.watch,
                    ledger.recent,
                ),
            ):
                await _Server(config, streams, on_ready).serve(sockets=[listening])
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)


def _followers(
    ledger: Ledger, settings: Settings, secret: bytes, guarded: GuardedTransport
) -> list[AnyFollower]:
    """Everything that happens after a commit. Each process has all of them; they share the work."""
    if not settings.followers:
        return []
    return [WebhookFollower(ledger.database, webhook_seal(secret), guarded)]


async def _sweep_holds(ledger: Ledger) -> None:
    """Every second, and again at once while there is a lot to do."""
    while True:
        swept = 0
        with contextlib.suppress(Unavailable):
            swept = await ledger.sweep_holds()
        if swept < HOLDERS_AT_ONCE:
            await asyncio.sleep(1)


def _stream_limits(settings: Settings) -> StreamLimits:
    """As configured, but never so many that too few files could be open for everything else."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _MOST_FILES if most == resource.RLIM_INFINITY else min(most, _MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    return StreamLimits(
        per_process=min(settings.streams, max(0, files - _FILES_FOR_THE_REST)),
        per_user=settings.streams_per_user,
        heartbeat_s=settings.stream_heartbeat_s,
    )


async def _chores(ledger: Ledger) -> None:
    while True:
        with contextlib.suppress(Unavailable):
            await ledger.users.forget_expired_tokens()
            await ledger.following.forget_old()
            await ledger.webhook_deliveries.forget_old_attempts()
        await asyncio.sleep(_HOUR_S)


async def mail_test(settings: Settings, address: str) -> AsyncIterator[Step]:
    """One mail to `address`, step by step. Raises `SettingsError` where mail goes to no server."""
    plan = mail_plan(settings, "http://localhost")
    if plan.server is None or plan.sender is None:
        raise SettingsError(f"NOSTRO_MAIL: mail is {plan.described}.")
    async for step in diagnose(plan.server, trial_mail(plan.sender, address)):
        yield step


def main() -> None:
    configure_logs()
    sys.exit(command_line(Runtime(open_service, serve, uvloop.run, mail_test)))
