"""A book is closed while a late entry is on its way into the period.

A process has looked at the locks, found the book open and decided to record something that is said to have
happened an hour ago. Before it writes, an operator elsewhere closes the book for what happened before half an
hour ago, and reports the period. Written now, the entry would stand behind the closing, in a period that takes
none: so the closing waits for every batch that has looked, also where no row was there to lock.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nostro.domain.money import Amount
from nostro.domain.requests import Terms
from nostro.store import journal
from nostro.store.queries import SQL
from tests.concurrency.bank import Bank, fresh_key, token_of, under_the_lock
from tests.concurrency.conftest import Rivals
from tests.concurrency.rendezvous import Rendezvous
from tests.concurrency.test_races import Patch, as_superuser

pytestmark = pytest.mark.anyio

_INTRUDERS = """
SELECT count(*) FROM entries e
  JOIN events c ON c.kind = 'PERIOD_CLOSED' AND e.effective_at < (c.details->>'after')::timestamptz
 WHERE e.position > c.position
"""


async def post_while_closing(rivals: Rivals, url: str, patch: Patch, *, closed_before: bool) -> int:
    """How many entries stand behind the closing of the period they fall into."""
    one, other = rivals
    under_the_lock(one)
    bank = await Bank.open(one)
    ann = await bank.person()
    source, target = await bank.account(ann, 100), await bank.account(ann)
    now = datetime.now(UTC)
    if closed_before:
        await other.periods.close(None, "INR", now - timedelta(days=1), "Yesterday was reported")
    looked, closed, write = asyncio.Event(), asyncio.Event(), journal.write_batch

    async with Rendezvous(url) as meeting:

        async def write_later(*arguments: Any) -> None:
            looked.set()
            await meeting.until(closed.is_set)
            await write(*arguments)

        patch.setattr(journal, "write_batch", write_later)
        posting = asyncio.create_task(
            one.transfers.transfer(
                token_of(ann),
                key=fresh_key(),
                from_account=source,
                to_account=target,
                amount=Amount(1, 0),
                terms=Terms(effective_at=now - timedelta(hours=1)),
            )
        )
        await looked.wait()
        until = now - timedelta(minutes=30)
        closing = asyncio.create_task(other.periods.close(None, "INR", until, "The morning was reported"))
        closing.add_done_callback(lambda _: closed.set())
        await asyncio.gather(posting, closing)
    return int(await as_superuser(url, _INTRUDERS))


@pytest.mark.parametrize("closed_before", [False, True], ids=["first closing", "later closing"])
async def test_nothing_is_recorded_into_a_period_behind_its_closing(
    rivals: Rivals, database_url: str, monkeypatch: Patch, *, closed_before: bool
) -> None:
    assert await post_while_closing(rivals, database_url, monkeypatch, closed_before=closed_before) == 0
    assert (await rivals[0].verify()).holds


@pytest.mark.parametrize("closed_before", [False, True], ids=["first closing", "later closing"])
async def test_without_the_lock_an_entry_stands_behind_the_closing(
    rivals: Rivals, database_url: str, monkeypatch: Patch, *, closed_before: bool
) -> None:
    monkeypatch.setitem(SQL, "lock_period_locks", "SELECT 1")
    monkeypatch.setitem(SQL, "closed_books", SQL["closed_books"].replace("FOR SHARE", ""))
    assert await post_while_closing(rivals, database_url, monkeypatch, closed_before=closed_before) == 2
