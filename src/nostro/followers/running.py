"""The tasks of followers in one process: started together, ended together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import structlog

from nostro.domain.errors import Unavailable
from nostro.followers.cursor import Cursor
from nostro.followers.frame import Follower, OrderedFollower, Terms, terms_of
from nostro.followers.live_end import Journal, LiveEnd
from nostro.followers.ordered import Publisher
from nostro.followers.pace import Pace
from nostro.followers.senders import Senders
from nostro.ledger.head import JournalWatch
from nostro.ledger.recent import Recent
from nostro.store import followers
from nostro.store.database import Database

log = structlog.get_logger(__name__)

AnyFollower = Follower | OrderedFollower
_REGISTER_AGAIN_S = 1.0


@asynccontextmanager
async def following(
    database: Database, all_followers: Sequence[AnyFollower], watch: JournalWatch, recent: Recent
) -> AsyncIterator[None]:
    """Inside: every follower is at work in this process. On leaving, what is under way is given back."""
    journal = Journal(watch, LiveEnd(recent), Pace(watch, recent))
    tasks = [
        asyncio.create_task(_follow(database, follower, terms_of(follower), journal))
        for follower in all_followers
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def follow(
    database: Database,
    follower: AnyFollower,
    *,
    stopping: asyncio.Event,
    batch: int | None = None,
    senders: int | None = None,
) -> None:
    """One follower on its own, until `stopping` is set."""
    usual = terms_of(follower)
    terms = replace(usual, batch=batch or usual.batch, senders=senders or usual.senders)
    async with JournalWatch(database) as watch:
        recent = Recent()  # nothing is committed here
        journal = Journal(watch, LiveEnd(recent), Pace(watch, recent))
        task = asyncio.create_task(_follow(database, follower, terms, journal))
        await stopping.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _follow(database: Database, follower: AnyFollower, terms: Terms, journal: Journal) -> None:
    """Until cancelled. What ends it otherwise is a flaw of its own, and leaves the other followers alone."""
    try:
        await _work(database, follower, terms, journal)
    except Exception:
        log.exception("follower_ended", follower=follower.name)
        raise


async def _work(database: Database, follower: AnyFollower, terms: Terms, journal: Journal) -> None:
    await _register(database, follower.name, terms)
    if isinstance(follower, OrderedFollower):
        await Publisher(database, journal, follower, terms).run()
        return
    found = asyncio.Event()
    await _together(
        Cursor(database, journal, follower, terms, found).run,
        Senders(database, journal.pace, follower, terms, found).run,
    )


async def _register(database: Database, name: str, terms: Terms) -> None:
    """However long the database is away: a follower begins when it can."""
    while True:
        with contextlib.suppress(Unavailable):
            async with database.background() as connection:
                await followers.register(connection, name, terms.start)
            return
        await asyncio.sleep(_REGISTER_AGAIN_S)


async def _together(*works: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work())
