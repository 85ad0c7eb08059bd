"""Live streams: who listens to the journal, from where, and until when.

What must hold: what a stream tells follows from what it told before. A new one begins with a snapshot, which is
one state of the database at one position, and goes on with the next event; a resumed one reads the journal from
the position it was left at until it meets the live end (tests/concurrency/test_stream_joins.py). A stream ends
soon after its token (tests/contract/test_stream.py), and holds no connection to the database while it waits.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from nostro.domain.errors import NostroError, StreamsFull, TooManyStreams, UnknownPosition
from nostro.domain.event import Event
from nostro.domain.ids import ObjectId
from nostro.domain.user import Claims
from nostro.ledger.counts import Counts
from nostro.ledger.events import events_of, journal_position
from nostro.ledger.recent import Recent
from nostro.ledger.tail import FAILED, SLOW, Subscription, Tail
from nostro.store import accounts, users
from nostro.store.accounts import AccountRow
from nostro.store.database import Database

log = structlog.get_logger(__name__)

# How long a token that was revoked or has expired may still be listened with.
TOKENS_ARE_JUDGED_EVERY_S = 5.0
# How many that want to enter may ask the database at once. When a process is started again, all that listened
# to it come back in one moment: they wait here, and not for the connections that the other requests need.
OPENING = 4
# Events per step of catching up, and how many streams may take a step at once: followers need connections, too.
CATCH_UP_PAGE, CATCHING_UP = 250, 2

TOKEN_VOID = "token_void"  # noqa: S105 - a reason, and no secret
SHUTTING_DOWN = "shutting_down"
UNAVAILABLE = "database_unavailable"
CLIENT_GONE = "client_gone"


class Snapshot(NamedTuple):
    """The listener's accounts as they stood at `position`; none for a listener to everybody's events."""

    position: int
    accounts: list[AccountRow] | None


class Happened(NamedTuple):
    """Events, in order of position."""

    events: list[Event]


class Heartbeat(NamedTuple):
    """Everything that concerns the listener up to `position` has been told, and the journal can be read."""

    position: int


class Ended(NamedTuple):
    reason: str


Told = Snapshot | Happened | Heartbeat | Ended
Tell = Callable[[Told], Awaitable[None]]


@dataclass(frozen=True)
class StreamLimits:
    """How many streams one process and one user may have open, and the seconds between two heartbeats."""

    per_process: int
    per_user: int
    heartbeat_s: float


class Stream:
    """One open stream of one client. `scope` EVERYBODY: the events of all users."""

    def __init__(self, streams: "Streams", claims: Claims, scope: ObjectId | None) -> None:
        self.claims = claims
        self.scope = scope
        self.listener = Subscription(scope)
        self._streams = streams
        self._position = 0  # everything up to it that concerns the listener has been told
        self._snapshot: Snapshot | None = None

    def end(self, reason: str) -> None:
        """Let `follow` say so and return. The first reason counts."""
        self.listener.end(reason)

    @property
    def was_cut_off(self) -> bool:
        return self.listener.ended.done() and self.listener.ended.result() == SLOW

    async def begin(self) -> None:
        """Join, and then read the snapshot: it is no older than the first event that we are offered."""
        await self._streams.tail.join(self.listener)
        async with (
            self._streams.entrance,
            self._streams.database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            self._position = await journal_position(connection)
            rows = await accounts.accounts_of(connection, self.scope) if self.scope is not None else None
        self._snapshot = Snapshot(self._position, rows)

    async def resume(self, after: int) -> None:
        """Go on after `after`. `UnknownPosition` when the journal has not come so far."""
        async with self._streams.entrance, self._streams.database.connection() as connection:
            if after > await journal_position(connection):
                raise UnknownPosition
        self._position = after

    async def follow(self, tell: Tell) -> None:
        """Tell, in order, all there is to tell; the last is `Ended`. Raises only what `tell` raises."""
        try:
            if self._snapshot is not None:
                await tell(self._snapshot)
                self._snapshot = None
            else:
                await self._catch_up(tell)
            await tell(Heartbeat(self._position))
            await self._live(tell)
        except NostroError:
            self.end(UNAVAILABLE)
        await tell(Ended(await self.listener.ended))

    async def _catch_up(self, tell: Tell) -> None:
        """Tell what the journal holds, in steps; the client takes one before the next is read. At the journal's
        head we join, and what was written between head and join is a last step."""
        meeting: int | None = None
        while (meeting is None or self._position < meeting) and not self.listener.ended.done():
            events, self._position = await self._next_page()
            if events:
                await tell(Happened(events))
            if meeting is None and len(events) < CATCH_UP_PAGE:
                meeting = await self._streams.tail.join(self.listener)

    async def _next_page(self) -> tuple[list[Event], int]:
        """The next events, and the position behind all that was looked at. Ends us if they cannot be told."""
        try:
            async with self._streams.turns, self._streams.database.background() as connection:
                return await events_of(connection, self.scope, self._position, CATCH_UP_PAGE)
        except NostroError:
            raise
        except Exception:
            log.exception("catching_up_failed", position=self._position)
            self.end(FAILED)
            return [], self._position

    async def _live(self, tell: Tell) -> None:
        loop = asyncio.get_running_loop()
        heartbeat_s, tail = self._streams.limits.heartbeat_s, self._streams.tail
        due = False

        def wake() -> None:
            nonlocal due
            due = True
            self.listener.wake()

        alarm = loop.call_later(heartbeat_s, wake)
        try:
            while True:
                await self.listener.wait()
                if self.listener.ended.done():
                    return
                # One moment for both: what was offered up to this position is what we take.
                taken, position = self.listener.take(), tail.position
                events = [event for event in taken if event.position > self._position]
                if events:
                    await tell(Happened(events))
                    self._position = events[-1].position
                if due:
                    due, alarm = False, loop.call_later(heartbeat_s, wake)
                    if tail.is_current and position is not None:
                        self._position = max(self._position, position)
                        await tell(Heartbeat(self._position))
        finally:
            alarm.cancel()


@dataclass
class Streams:
    """All open streams of this process. Use as `async with`; streams that are open at its end are ended."""

    database: Database
    limits: StreamLimits
    counts: Counts
    recent: Recent
    tail: Tail = field(init=False)
    entrance: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OPENING))
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CATCHING_UP))
    _open: set[Stream] = field(default_factory=set)
    _of_user: Counter[ObjectId] = field(default_factory=Counter)
    _judge: "asyncio.Task[None] | None" = None
    _stopped: bool = False

    def __post_init__(self) -> None:
        self.tail = Tail(self.database, self.recent)

    async def __aenter__(self) -> "Streams":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        if self._judge is not None:
            self._judge.cancel()
            await asyncio.gather(self._judge, return_exceptions=True)
        await self.tail.close()

    async def open(self, claims: Claims, scope: ObjectId | None, after: int | None) -> Stream:
        """A stream for the holder of a judged token, from now on or after a position. Close it in the end.

        Raises `TooManyStreams`, `StreamsFull`, `UnknownPosition`, `DatabaseUnavailable`.
        """
        if self._of_user[claims.user] >= self.limits.per_user:
            raise TooManyStreams
        if len(self._open) >= self.limits.per_process or self._stopped:
            raise StreamsFull
        stream = Stream(self, claims, scope)
        self._open.add(stream)
        self.counts.streams(len(self._open))
        self._of_user[claims.user] += 1
        try:
            await (stream.begin() if after is None else stream.resume(after))
        except BaseException:
            self.close(stream)
            raise
        if self._judge is None:
            self._judge = asyncio.create_task(self._judge_tokens())
        return stream

    def close(self, stream: Stream) -> None:
        if stream in self._open:
            self._open.remove(stream)
            self.counts.streams(len(self._open))
            if stream.was_cut_off:
                self.counts.stream_cut_off()
            self.tail.leave(stream.listener)
            user = stream.claims.user
            self._of_user[user] -= 1
            if not self._of_user[user]:
                del self._of_user[user]

    def stop(self) -> None:
        """End all streams and open no more."""
        self._stopped = True
        for stream in self._open:
            stream.end(SHUTTING_DOWN)

    async def _judge_tokens(self) -> None:
        """End the streams whose token stands for nobody any more; one look for all of them."""
        while self._open:
            await asyncio.sleep(TOKENS_ARE_JUDGED_EVERY_S)
            asked = [stream for stream in self._open if not stream.listener.ended.done()]
            now = time.time()
            for stream in asked:
                if stream.claims.expires_at <= now:
                    stream.end(TOKEN_VOID)
            try:
                async with self.database.background() as connection:
                    void = await users.void_tokens(connection, [stream.claims for stream in asked])
            except NostroError:
                continue  # what cannot be asked now is asked the next time
            except Exception:
                log.exception("tokens_not_judged", streams=len(asked))
                continue
            for nth in void:
                asked[nth].end(TOKEN_VOID)
        self._judge = None
