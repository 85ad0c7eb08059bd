"""Statements are made when they are asked for. That one can be asked for is told once: when a month (of UTC) is
over, every account that moved in it gets an event STATEMENT_READY, which mail and webhooks follow.

Exactly once per account and month: a chunk of events and how far the round has come are one transaction, and a
round is in one process's hands at a time (tests/contract/test_statement_notices.py).
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from nostro.domain.errors import Unavailable
from nostro.store import statement_rounds
from nostro.store.database import Database

_CHUNK = 200
_BETWEEN_CHUNKS_S = 0.05
_LOOK_EVERY_S = 3600.0


@dataclass(frozen=True)
class StatementNotices:
    database: Database

    async def run(self) -> None:
        """Until cancelled: look every hour whether a month is over; then there is a lot to tell, bit by bit."""
        while True:
            more = False
            with suppress(Unavailable):
                more = await self.tell()
            await asyncio.sleep(_BETWEEN_CHUNKS_S if more else _LOOK_EVERY_S)

    async def tell(self) -> bool:
        """The next chunk of the last finished month; whether there may be more to tell."""
        async with self.database.transaction(background=True) as connection:
            await statement_rounds.begin(connection)
            one = await statement_rounds.take(connection)
            if one is None:
                return False
            visited = await statement_rounds.next_accounts(connection, one, _CHUNK)
            finished = len(visited) < _CHUNK
            after = visited[-1].account if visited else one.after
            await statement_rounds.move(connection, one, after, finished=finished)
            moved = [account for account in visited if account.moved]
            if moved:
                last_day = one.until - timedelta(days=1)
                details = {"since": f"{one.since:%Y-%m-%d}", "until": f"{last_day:%Y-%m-%d}"}
                await statement_rounds.append_events(connection, moved, details)
        return not finished
