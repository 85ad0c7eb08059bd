"""Summaries: readers who want one mail a day get, at seven in the morning of their time zone, what would have
been single mails.

Each item is told in exactly one: it joins a digest in the transaction that moves the cursor past its event,
and a digest is closed and becomes a delivery in one transaction too (tests/concurrency/test_digests.py).
"""

import asyncio
import contextlib
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from nostro.domain.errors import Unavailable
from nostro.domain.event import event_id
from nostro.domain.mail import MailKind
from nostro.followers.frame import Delivery
from nostro.followers.mail.facts import Letter, Notice, packed
from nostro.followers.mail.occasions import Addressed
from nostro.store import followers
from nostro.store import mail as mails
from nostro.store.database import Connection, Database
from nostro.store.mail import Reader

log = structlog.get_logger(__name__)

HOUR = 7
_AT_ONCE = 100
_LOOK_EVERY_S = 10.0


def next_digest(now: datetime, time_zone: str) -> datetime:
    """The next seven o'clock there, later than `now`."""
    local = now.astimezone(ZoneInfo(time_zone))
    due = local.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return due if due > local else due + timedelta(days=1)


async def collect(connection: Connection, addressed: Addressed, reader: Reader) -> None:
    """Put the letter into the reader's next digest, unless it is in one already (a replay)."""
    due = next_digest(await mails.now(connection), reader.preferences.time_zone)
    position, target, facts = addressed.event.position, addressed.target, packed(addressed.letter)
    while not await mails.add_to_digest(connection, reader.id, due, position, target, facts):
        due += timedelta(days=1)  # closed a moment ago: what comes now is the next one's


async def close_due_digests(database: Database, follower: str) -> int:
    """Every digest whose time has come becomes a delivery of `follower`; how many did."""
    async with database.transaction(background=True) as connection:
        closed = await mails.close_due_digests(connection, _AT_ONCE)
        deliveries = [
            Delivery(
                one.position,
                event_id(one.position),
                f"{one.user.hex()}:digest",
                packed(Letter(MailKind.DIGEST, one.user.hex(), Notice(one.due_at))),
            )
            for one in closed
        ]
        if deliveries:
            await followers.add_deliveries(connection, follower, deliveries)
    return len(closed)


async def send_digests_in_time(database: Database, follower: str) -> None:
    """Until cancelled. Every process looks; each digest is closed by one of them."""
    while True:
        with contextlib.suppress(Unavailable):
            while await close_due_digests(database, follower) == _AT_ONCE:
                pass
        await asyncio.sleep(_LOOK_EVERY_S)
