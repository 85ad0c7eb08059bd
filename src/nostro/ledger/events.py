"""Reading events: the journal from a position on, whole or as one user sees it.

What is read is committed and complete: positions are given out as the last act before COMMIT, so whoever sees
the head at a position sees every row up to it (tests/concurrency/test_events.py).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from nostro.domain.event import INTERNAL_TYPES, Event
from nostro.domain.ids import ObjectId
from nostro.ledger.event_building import build_events
from nostro.ledger.recent import Recent
from nostro.store import events
from nostro.store.database import Connection, Database

# Events built before others have their turn: about a millisecond of work.
_BUILT_AT_ONCE = 32


async def journal_position(connection: Connection) -> int:
    """The last position given out by a transaction that has committed."""
    return (await events.journal_head(connection)).position


async def events_after(
    connection: Connection, position: int, limit: int, recent: Recent | None = None
) -> list[Event]:
    """The next events, at most `limit`: dense, in order, committed."""
    head = await events.journal_head(connection)
    wanted = range(position + 1, min(head.position, position + limit) + 1)
    return await events_at(connection, wanted, head, recent)


async def events_at(
    connection: Connection,
    positions: Sequence[int],
    head: events.JournalHead,
    recent: Recent | None = None,
) -> list[Event]:
    """The events at `positions`, which the ledger of `head` has reached; in order. Those of `recent` are not
    read."""
    kept, missing = recent.at(positions) if recent else ([], list(positions))
    rows = await events.journal_rows(connection, missing)
    for one in kept:
        rows.transactions.append(one.row())
        rows.entries.extend(one.entries())
    built: list[Event] = []
    for event in build_events(rows, f"urn:uuid:{head.ledger}"):
        built.append(event)
        if len(built) % _BUILT_AT_ONCE == 0:
            await asyncio.sleep(0)
    return built


async def events_of(
    connection: Connection, viewer: ObjectId | None, position: int, limit: int
) -> tuple[list[Event], int]:
    """The next events that `viewer` may see (None: all), at most `limit`, and the position to ask from next.

    The second is behind everything looked at, so that asking again never meets the same events; it is where the
    journal stands, or further, unless there are more.
    """
    head = await events.journal_head(connection)
    positions: Sequence[int]
    if viewer is None:
        positions = range(position + 1, min(head.position, position + limit) + 1)
    else:
        found = await events.positions_of_user(connection, viewer, position, limit)
        # The head was read first: what came since belongs to the next look.
        positions = [one for one in found if one <= head.position]
    next_position = positions[-1] if len(positions) == limit else max(position, head.position)
    seen = await events_at(connection, positions, head)
    return [event for event in seen if event.type not in INTERNAL_TYPES], next_position


@dataclass(frozen=True)
class EventReader:
    """Events for those who come and ask (`GET /api/events`)."""

    database: Database

    async def after(self, position: int, limit: int, viewer: ObjectId | None) -> tuple[list[Event], int]:
        """As `events_of`; but who asks from beyond the end is told where the end is, to go on from there."""
        async with self.database.connection() as connection:
            found, next_position = await events_of(connection, viewer, position, limit)
            if not found and next_position == position:
                next_position = min(position, await journal_position(connection))
            return found, next_position
