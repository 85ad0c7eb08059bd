"""The follower of webhooks without its frame: what each answer leads to, judged without waiting."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from nostro.domain.destination import Destinations, parse_allowed
from nostro.domain.webhook import MOST_ATTEMPTS, RETRY_SCHEDULE_S, Scope, WebhookStatus
from nostro.followers.frame import ClaimedDelivery, Later, NotNow, SetAside
from nostro.followers.guard import GuardedTransport
from nostro.followers.webhooks import WebhookFollower
from nostro.ledger.events import events_after, journal_position
from nostro.ledger.sealing import Seal
from nostro.ledger.service import Ledger
from nostro.ledger.webhooks import Webhooks, Wish, webhook_seal
from nostro.store.users import User
from nostro.store.webhooks import Webhook
from tests.sink import Reply, Sink

pytestmark = pytest.mark.anyio
DESTINATIONS = Destinations(*parse_allowed("127.0.0.1"))
SEAL = webhook_seal(b"a secret of these tests")


@pytest.fixture
def sink() -> Iterator[Sink]:
    opened = Sink()
    yield opened
    opened.close()


@pytest.fixture
async def ann(ledger: Ledger) -> User:
    return await ledger.users.register("ann@example.com", "correct horse", "Ann")


@pytest.fixture
async def webhooks(ledger: Ledger) -> Webhooks:
    return Webhooks(ledger.database, SEAL, DESTINATIONS)


@pytest.fixture
async def webhook(webhooks: Webhooks, ann: User, sink: Sink) -> Webhook:
    return (await webhooks.create(ann, sink.url, Scope.OWN, Wish()))[0]


@pytest.fixture
async def follower(ledger: Ledger) -> AsyncIterator[WebhookFollower]:
    async with GuardedTransport(DESTINATIONS) as transport:
        yield WebhookFollower(ledger.database, SEAL, transport, luck=lambda: 0.5)


def claimed(webhook: Webhook, attempt: int = 1) -> ClaimedDelivery:
    target = webhook.id.hex()
    return ClaimedDelivery("webhooks-7-x", "webhooks", 7, "evt_7", target, {"position": 7}, attempt, 1)


async def test_each_failed_attempt_waits_as_the_schedule_says(
    follower: WebhookFollower, webhook: Webhook, sink: Sink, ledger: Ledger
) -> None:
    sink.answer(500)
    waits = []
    for attempt in range(1, MOST_ATTEMPTS):
        with pytest.raises(Later) as verdict:
            await follower.send(claimed(webhook, attempt))
        waits.append(verdict.value.after_s)
    assert waits == list(RETRY_SCHEDULE_S)
    with pytest.raises(SetAside, match="last of 10 attempts"):
        await follower.send(claimed(webhook, MOST_ATTEMPTS))
    logged = await ledger.webhook_deliveries.attempts(webhook.owner, webhook.id, limit=50, skip=0)
    assert [one.attempt for one in logged] == list(range(MOST_ATTEMPTS, 0, -1))
    assert {(one.http_status, one.reason) for one in logged} == {(500, "HTTP 500 Internal Server Error")}


async def test_a_retry_after_that_is_longer_counts(
    follower: WebhookFollower, webhook: Webhook, sink: Sink
) -> None:
    sink.answer(503, Retry_After="3600")
    with pytest.raises(Later) as verdict:
        await follower.send(claimed(webhook))
    assert verdict.value.after_s == 3600


async def test_until_then_nothing_is_tried_and_no_attempt_is_counted(
    follower: WebhookFollower, webhook: Webhook, webhooks: Webhooks, sink: Sink
) -> None:
    sink.answer(429, Retry_After="3600")
    with pytest.raises(Later):
        await follower.send(claimed(webhook))
    with pytest.raises(NotNow) as verdict:
        await follower.send(claimed(webhook, 2))
    assert 3500 < verdict.value.after_s <= 3600
    assert len(sink.received) == 1
    # Whoever enables it again knows better.
    await webhooks.change(webhook.owner, webhook.id, Wish(status=WebhookStatus.DISABLED))
    await webhooks.change(webhook.owner, webhook.id, Wish(status=WebhookStatus.ENABLED))
    with pytest.raises(Later):
        await follower.send(claimed(webhook, 2))
    assert len(sink.received) == 2


async def test_a_secret_sealed_under_another_jwt_secret_is_not_used(
    ledger: Ledger, webhook: Webhook, webhooks: Webhooks, sink: Sink
) -> None:
    other = Seal(b"the next JWT_SECRET", "webhook secrets")
    async with GuardedTransport(DESTINATIONS) as transport:
        follower = WebhookFollower(ledger.database, other, transport)
        with pytest.raises(SetAside, match="rotate"):
            await follower.send(claimed(webhook))
        assert sink.received == []
        renewed = Webhooks(ledger.database, other, DESTINATIONS)
        await renewed.rotate(webhook.owner, webhook.id, 0)
        await follower.send(claimed(webhook))
    assert len(sink.received) == 1


async def test_a_deleted_webhook_gets_nothing_more(
    follower: WebhookFollower, webhook: Webhook, webhooks: Webhooks, sink: Sink
) -> None:
    await webhooks.delete(webhook.owner, webhook.id)
    with pytest.raises(SetAside, match="deleted"):
        await follower.send(claimed(webhook))
    assert sink.received == []


async def test_a_webhook_gets_nothing_from_before_it_was_made_unless_it_is_asked_for(
    ledger: Ledger, follower: WebhookFollower, webhook: Webhook, ann: User
) -> None:
    """Also when its follower is set back to the beginning."""
    async with ledger.database.transaction() as connection:
        events = await events_after(connection, 0, 100)
        made = await follower.deliveries(connection, events)
    assert min(event.position for event in events) == 1
    assert [one.position for one in made] == [webhook.starts_after + 1], "its own making"
    assert made[0].payload["previousposition"] == webhook.starts_after
    async with ledger.database.transaction() as connection:
        again = await follower.deliveries(connection, events)
    assert again == made


async def test_old_attempts_are_forgotten(
    ledger: Ledger, follower: WebhookFollower, webhook: Webhook, sink: Sink
) -> None:
    await follower.send(claimed(webhook))
    async with ledger.database.connection() as connection:
        assert await journal_position(connection) > 0
    await ledger.webhook_deliveries.forget_old_attempts()
    found = await ledger.webhook_deliveries.attempts(webhook.owner, webhook.id, limit=9, skip=0)
    assert len(found) == 1
    assert datetime.now(UTC) - found[0].requested_at < timedelta(minutes=5)


async def test_one_owner_has_a_quarter_of_the_senders_however_many_webhooks(
    follower: WebhookFollower, webhook: Webhook, webhooks: Webhooks, ann: User, sink: Sink
) -> None:
    """Receivers that answer late would else keep everybody's events waiting."""
    late = threading.Event()
    sink.reply = lambda _: Reply(204, after=late)
    second = (await webhooks.create(ann, sink.url, Scope.OWN, Wish()))[0]
    share = follower.senders // 4
    sending = [asyncio.create_task(follower.send(claimed(one))) for one in [webhook, second] * (share // 2)]
    await asyncio.to_thread(sink.wait_for, share)
    for one in (webhook, second):
        with pytest.raises(NotNow):
            await follower.send(claimed(one))
    late.set()
    await asyncio.gather(*sending)
    await follower.send(claimed(webhook))
    assert len(sink.received) == share + 1


async def test_a_failing_webhook_is_asked_once_at_a_time(
    follower: WebhookFollower, webhook: Webhook, sink: Sink
) -> None:
    sink.answer(500)
    with pytest.raises(Later):
        await follower.send(claimed(webhook))
    back = threading.Event()
    sink.reply = lambda _: Reply(204, after=back)
    sending = asyncio.create_task(follower.send(claimed(webhook, 2)))
    await asyncio.to_thread(sink.wait_for, 2)
    with pytest.raises(NotNow):
        await follower.send(claimed(webhook, 2))
    back.set()
    await sending
    await follower.send(claimed(webhook, 2))
    assert len(sink.received) == 3
