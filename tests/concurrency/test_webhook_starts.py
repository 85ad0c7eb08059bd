"""A webhook that is made while the follower passes over what nobody wants: it misses nothing it starts with."""

import asyncio
from typing import Any

import pytest

from nostro.domain.books import Posted
from nostro.domain.destination import Destinations, parse_allowed
from nostro.domain.webhook import Scope
from nostro.followers.cursor import Cursor
from nostro.followers.frame import terms_of
from nostro.followers.guard import GuardedTransport
from nostro.followers.live_end import Journal, LiveEnd
from nostro.followers.pace import Pace
from nostro.followers.webhooks import WebhookFollower
from nostro.ledger import webhooks as making
from nostro.ledger.events import journal_position
from nostro.ledger.service import Ledger
from nostro.ledger.webhooks import Webhooks, Wish, webhook_seal
from nostro.store import followers
from tests.concurrency.bank import Bank, send, token_of
from tests.concurrency.rendezvous import PATIENCE_S, Rendezvous

pytestmark = pytest.mark.anyio
DESTINATIONS = Destinations(*parse_allowed("127.0.0.1"))
SEAL = webhook_seal(b"a secret of these tests")
_QUEUED = "SELECT position FROM deliveries WHERE follower = 'webhooks' ORDER BY position"


async def _cursor(ledger: Ledger, transport: GuardedTransport) -> Cursor:
    follower = WebhookFollower(ledger.database, SEAL, transport)
    async with ledger.database.background() as connection:
        await followers.register(connection, follower.name, 0)
    journal = Journal(ledger.watch, LiveEnd(ledger.recent), Pace(ledger.watch, ledger.recent))
    return Cursor(ledger.database, journal, follower, terms_of(follower), asyncio.Event())


async def _queued(ledger: Ledger) -> list[int]:
    async with ledger.database.background() as connection:
        return [row["position"] for row in await connection.fetch(_QUEUED)]


async def test_what_nobody_wants_is_passed_over_at_once(ledger: Ledger) -> None:
    bank = await Bank.open(ledger)
    ann = await bank.person()
    await bank.account(ann, 100)
    async with GuardedTransport(DESTINATIONS) as transport:
        cursor = await _cursor(ledger, transport)
        async with ledger.database.background() as connection:
            head = await journal_position(connection)
        assert await cursor.advance() == head
        made, _ = await Webhooks(ledger.database, SEAL, DESTINATIONS).create(
            ann, "http://127.0.0.1:9999/", Scope.OWN, Wish()
        )
        await bank.account(ann, 100)
        while (position := await cursor.advance()) is not None and position < head + 3:
            pass
    assert made.starts_after == head
    assert await _queued(ledger) == [head + 1, head + 2, head + 3]


async def test_a_webhook_being_made_gets_what_commits_meanwhile_or_starts_behind_it(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = await Bank.open(ledger)
    ann = await bank.person()
    source, target = await bank.account(ann, 100), await bank.account(ann)
    writing, note, moved = asyncio.Event(), making._note, 0

    async def dawdle(*arguments: Any) -> None:
        writing.set()
        await meeting.until(transfer.done)
        nonlocal moved
        moved = await cursor.advance() or 0
        await note(*arguments)

    async with (
        asyncio.timeout(PATIENCE_S),
        GuardedTransport(DESTINATIONS) as transport,
        Rendezvous(database_url) as meeting,
    ):
        cursor = await _cursor(ledger, transport)
        transfer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(making, "_note", dawdle)
        creating = asyncio.create_task(
            Webhooks(ledger.database, SEAL, DESTINATIONS).create(
                ann, "http://127.0.0.1:9999/", Scope.OWN, Wish()
            )
        )
        await writing.wait()
        sending = asyncio.create_task(send(ledger, token_of(ann), source, target, "1"))
        sending.add_done_callback(transfer.set_result)
        made, _ = await creating
        assert isinstance(await sending, Posted)
        async with ledger.database.background() as connection:
            head = await journal_position(connection)
        while (await cursor.advance() or head) < head:
            pass
    assert moved, "the cursor passed over what came before, while the webhook was made"
    assert moved <= made.starts_after
    assert await _queued(ledger) == list(range(made.starts_after + 1, head + 1))
