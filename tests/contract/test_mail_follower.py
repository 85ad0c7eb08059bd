"""The mail follower in this process: what it makes of the journal's events."""

from dataclasses import dataclass

import pytest

from nostro.domain.delivery import Delivery
from nostro.domain.mail import Mail
from nostro.followers.mail.follower import MailFollower
from nostro.ledger.events import events_after
from nostro.ledger.mail_preferences import MailReaders
from nostro.ledger.mailbox import KEPT, Mailbox
from nostro.ledger.resets import PasswordResets
from nostro.ledger.service import Ledger
from nostro.mail_settings import Sender
from nostro.store.journal import append_event

pytestmark = pytest.mark.anyio


@dataclass
class Scene:
    ledger: Ledger
    follower: MailFollower

    async def made(self) -> list[Delivery]:
        """What the whole journal becomes."""
        async with self.ledger.database.transaction() as connection:
            return await self.follower.deliveries(connection, await events_after(connection, 0, 100))

    async def waiting(self, count: int) -> None:
        async with self.ledger.database.connection() as connection:
            await connection.execute(
                "INSERT INTO deliveries (follower, position, target, payload) "
                "SELECT 'mail', n, 'somebody', '{}' FROM generate_series(1, $1) AS n ON CONFLICT DO NOTHING",
                count,
            )


@pytest.fixture
async def scene(ledger: Ledger) -> Scene:
    """Ann has opened an account and has been given a statement's notice, which is optional mail."""
    follower = MailFollower(
        ledger.database,
        Mailbox(ledger.database),
        sender=Sender("Nostro", "nostro@localhost", "http://localhost"),
        resets=PasswordResets(ledger.database, ledger.users.passwords, b""),
        readers=MailReaders(ledger.database, b""),
        usual_locale="en_IN",
        captures=True,
    )
    ann = await ledger.users.register("ann@example.com", "correct horse", "Ann")
    account = await ledger.accounts.open(ann, ledger.house_currency, None)
    details = {"since": "2026-11-01", "until": "2026-11-30"}
    async with ledger.database.transaction() as connection:
        await append_event(connection, "STATEMENT_READY", user=ann.id, account=account.id, **details)
    return Scene(ledger, follower)


async def test_every_event_that_somebody_may_be_told_of_becomes_a_delivery(scene: Scene) -> None:
    kinds = [delivery.payload["kind"] for delivery in await scene.made()]
    assert kinds == ["welcome", "statementReady"]


async def test_a_mailbox_that_cannot_keep_up_gets_only_what_nobody_may_do_without(scene: Scene) -> None:
    await scene.waiting(KEPT - 1)
    assert len(await scene.made()) == 2
    await scene.waiting(KEPT)
    assert [delivery.payload["kind"] for delivery in await scene.made()] == ["welcome"]


async def test_the_same_events_become_the_same_deliveries(scene: Scene) -> None:
    """A replay must meet the deliveries that are there, and not add to them."""
    first, second = await scene.made(), await scene.made()
    assert first == second
    assert len({(delivery.position, delivery.target) for delivery in first}) == len(first)


async def test_the_mailbox_keeps_the_newest_and_each_once(ledger: Ledger) -> None:
    box = Mailbox(ledger.database)
    for number in [*range(KEPT + 3), KEPT + 2]:
        await box.hand_over(Mail(f"<{number}@localhost>", "a@b.c", "ann@example.com", str(number), b""))
    kept = await box.newest(None, 10_000)
    assert [mail.subject for mail in kept] == [str(number) for number in range(KEPT + 2, 2, -1)]
