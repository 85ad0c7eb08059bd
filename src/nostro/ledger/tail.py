"""The live end of the journal: one reader per process, however many listen.

A subscription is offered every event after its `start` that concerns its user, in order of position, none twice
and none left out (tests/concurrency/test_stream_joins.py). The reader asks for the journal's head while anybody
listens, and reads on when it has moved; it needs no notification, so it sees what any process has committed.
What this process has committed itself it need not read (ledger/recent.py). Events are made only where they
concern somebody who listens.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence

import structlog

from nostro.domain.errors import NostroError
from nostro.domain.event import INTERNAL_TYPES, Event
from nostro.domain.ids import ObjectId
from nostro.ledger.events import events_at
from nostro.ledger.recent import Recent
from nostro.store import streams
from nostro.store.database import Connection, Database
from nostro.store.events import JournalHead, journal_head
from nostro.store.streams import Concerned

log = structlog.get_logger(__name__)

IDLE_S = 0.1
RETRY_S = 0.5
# Positions per look: few enough that making events of them holds up no transfer for long. Between two looks
# everybody who listens gets a turn to empty its queue.
WINDOW = 250
# Events that may wait for one listener: what several looks can bring.
MOST_WAITING = 1000
EVERYBODY = None

SLOW = "slow_reader"
REWOUND = "journal_rewound"
FAILED = "failed"


class Subscription:
    """What one listener waits for. `user` EVERYBODY: the events of all. `ended`: why no more will come."""

    def __init__(self, user: ObjectId | None) -> None:
        loop = asyncio.get_running_loop()
        self.user = user
        self.start: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[str] = loop.create_future()
        self._waiting: deque[Event] = deque()
        self._arrived = asyncio.Event()

    def offer(self, event: Event) -> None:
        """Ends the subscription when too much waits already: a listener never costs more than its queue."""
        if self.ended.done():
            return
        if len(self._waiting) >= MOST_WAITING:
            self.end(SLOW)
            return
        self._waiting.append(event)
        self._arrived.set()

    def end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)
        self._arrived.set()

    def wake(self) -> None:
        """Let `wait` return now."""
        self._arrived.set()

    async def wait(self) -> None:
        """Until there is something to take, the subscription has ended or somebody calls `wake`."""
        await self._arrived.wait()

    def take(self) -> list[Event]:
        """All that waits."""
        self._arrived.clear()
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


class Tail:
    """Reads while somebody listens. `position`: everything up to it has been offered to everyone."""

    def __init__(self, database: Database, recent: Recent) -> None:
        self._database = database
        self._recent = recent
        self.position: int | None = None
        self.is_current = False  # the last look at the journal succeeded
        self._joining: list[Subscription] = []
        self._listening: dict[ObjectId | None, set[Subscription]] = {}
        self._joined = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._begun: JournalHead

    async def join(self, subscription: Subscription) -> int:
        """From the position of now that is returned it is offered everything. Raises `DatabaseUnavailable`."""
        self._joining.append(subscription)
        self._joined.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await subscription.start

    def leave(self, subscription: Subscription) -> None:
        if subscription in self._joining:
            self._joining.remove(subscription)
        theirs = self._listening.get(subscription.user, set())
        theirs.discard(subscription)
        if not theirs:
            self._listening.pop(subscription.user, None)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while self._joining or self._listening:
                pause_s = await self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._joined.wait()
        finally:
            self._task, self.position = None, None

    async def _look(self) -> float:
        """Offer what is new and admit who wants to join; how many seconds until the next look."""
        self._joined.clear()
        try:
            async with self._database.background() as connection:
                before, head, events = await self._read(connection)
        except NostroError as error:
            self._refuse(error)
            return RETRY_S
        except Exception:
            log.exception("tail_failed", position=self.position)
            self._end_all(FAILED)
            self._refuse(NostroError())
            self.position = None  # what could not be told ends those who listen now, and nobody later
            return RETRY_S
        if head < before:
            # The journal was put back to an earlier state: what was told since is no longer true.
            self._end_all(REWOUND)
        for event in events:
            if event.type not in INTERNAL_TYPES:
                self._offer(event)
        self.is_current = True
        self.position = min(head, before + WINDOW)
        self._admit(self.position)
        return IDLE_S if self.position == head else 0.0

    async def _read(self, connection: Connection) -> tuple[int, int, list[Event]]:
        """Our position and the journal's, and what concerns those who listen in the window behind ours."""
        if self.position is None:
            self._begun = await journal_head(connection)
            return self._begun.position, self._begun.position, []
        head = (await journal_head(connection)).position
        wanted: Sequence[int] = range(self.position + 1, min(head, self.position + WINDOW) + 1)
        if EVERYBODY not in self._listening:
            wanted = await self._of_listeners(connection, wanted)
        return self.position, head, await events_at(connection, wanted, self._begun, self._recent)

    async def _of_listeners(self, connection: Connection, positions: Sequence[int]) -> list[int]:
        """Those that concern somebody who listens, or of which only the event itself can tell."""
        kept, missing = self._recent.at(positions)
        told = [Concerned(one.transaction.position, one.payer, one.payee) for one in kept]
        if missing:
            told += await streams.concerned(connection, missing)
        return list({position for position, *users in told if self._listens(users)})

    def _listens(self, users: Sequence[ObjectId | None]) -> bool:
        return None in users or not self._listening.keys().isdisjoint(users)

    def _offer(self, event: Event) -> None:
        for user in {EVERYBODY, *event.users}:
            for subscription in self._listening.get(user, ()):
                subscription.offer(event)

    def _admit(self, position: int) -> None:
        """Only between two looks: one that is under way was asked without the newcomers in mind, and what it
        passed over could be missing from the state that they read next."""
        for subscription in self._joining:
            self._listening.setdefault(subscription.user, set()).add(subscription)
            if not subscription.start.done():  # whoever waited for it may have gone
                subscription.start.set_result(position)
        self._joining.clear()

    def _refuse(self, error: NostroError) -> None:
        self.is_current = False
        for subscription in self._joining:
            if not subscription.start.done():
                subscription.start.set_exception(error)
        self._joining.clear()

    def _end_all(self, reason: str) -> None:
        for subscriptions in self._listening.values():
            for subscription in subscriptions:
                subscription.end(reason)
