"""Writes the EXPIRY of holds whose time is over, for accounts on which nothing else happens.

An expired hold is let go by the next decision about its account anyway (domain/holds.py); this only sees to it
that the journal says so soon. Several processes may sweep at once: the locks make one of them write.
"""

import structlog

from nostro.domain.books import Policy
from nostro.domain.ids import ObjectId
from nostro.domain.posting import decide
from nostro.ledger.identity import new_id
from nostro.store import journal, stories
from nostro.store.database import Database

log = structlog.get_logger(__name__)

HOLDERS_AT_ONCE = 100


async def sweep(database: Database, policy: Policy) -> int:
    """Holds afterwards: the accounts whose holds waited longest have none left that is expired and not written.
    Returns how many accounts were found."""
    async with database.lookup() as connection:
        waiting = await stories.accounts_with_expired_holds(connection, HOLDERS_AT_ONCE)
    if waiting:
        await _expire(database, policy, waiting)
    return len(waiting)


async def _expire(database: Database, policy: Policy, waiting: list[ObjectId]) -> None:
    """A batch without requests: whatever is decided, what has expired is written first."""
    async with database.transaction() as connection:
        accounts, not_before = await journal.lock_accounts(connection, waiting)
        books = await journal.read_books(connection, [], accounts, not_before, new_id)
        decide([], books, policy)
        if books.transactions:
            await journal.write_batch(connection, books)
            log.info("holds_expired", holds=len(books.transactions))
