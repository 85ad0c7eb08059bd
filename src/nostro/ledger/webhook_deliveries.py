"""What becomes of events for webhooks: which one wants which, what was tried, and sending again by hand.

A delivery is one event for one webhook. It carries, beside the event, `previousposition`: no event for this
webhook lies between that position and its own. So a receiver that compares it with the last position it knows
sees at once whether something is missing (tests/contract/test_webhooks.py::test_a_receiver_sees_a_gap).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nostro.domain.delivery import Delivery
from nostro.domain.errors import InvalidField, NotFound, WebhookDisabled
from nostro.domain.event import INTERNAL_TYPES, Event
from nostro.domain.ids import ObjectId, show_id
from nostro.domain.webhook import Scope, WebhookStatus, wants
from nostro.ledger.events import events_after, journal_position
from nostro.ledger.webhooks import owned
from nostro.store import followers, webhooks
from nostro.store.database import Database
from nostro.store.webhooks import FOLLOWER, Attempt, Webhook, WebhookDelivery

MOST_REPLAYED = 10_000
KEEP_ATTEMPTS_DAYS = 90
_SWEPT_AT_ONCE = 2000
# Positions in one transaction, so that none holds the webhook's row for long.
_CHUNK = 500


class Replayed(NamedTuple):
    """`queued` events were queued again; `last` is the last position that was looked at."""

    queued: int
    last: int


@dataclass(frozen=True)
class WebhookDeliveries:
    database: Database

    async def of(self, owner: ObjectId, webhook: ObjectId, *, limit: int, skip: int) -> list[WebhookDelivery]:
        """Newest first. Raises `UnknownWebhook`."""
        async with self.database.connection() as connection:
            owned(await webhooks.webhook_by_id(connection, webhook), owner)
            return await webhooks.deliveries_of(connection, webhook, None, limit=limit, skip=skip)

    async def attempts(self, owner: ObjectId, webhook: ObjectId, *, limit: int, skip: int) -> list[Attempt]:
        """Newest first. Raises `UnknownWebhook`."""
        async with self.database.connection() as connection:
            owned(await webhooks.webhook_by_id(connection, webhook), owner)
            return await webhooks.attempts_of(connection, webhook, limit=limit, skip=skip)

    async def resend(self, owner: ObjectId, webhook: ObjectId, position: int) -> WebhookDelivery:
        """Due now, under the same message id, with all attempts before it again.

        Raises `UnknownWebhook`, `WebhookDisabled`, `NotFound` when no event was queued for it at `position`.
        """
        async with self.database.transaction() as connection:
            _enabled(owned(await webhooks.lock_webhook(connection, webhook), owner))
            await followers.retry(connection, FOLLOWER, position, show_id(webhook))
            found = await webhooks.deliveries_of(connection, webhook, position, limit=1, skip=0)
        if not found:
            raise NotFound("No event was queued for this webhook at this position")
        return found[0]

    async def replay(self, owner: ObjectId, webhook: ObjectId, first: int, last: int) -> Replayed:
        """Queue what it wants of the events from `first` to `last`, both included, at most 10,000 positions:
        those it got, those that were set aside, and those from before it was made.

        Raises `UnknownWebhook`, `WebhookDisabled`, `InvalidField`.
        """
        if not first <= last < first + MOST_REPLAYED:
            raise InvalidField("to", f"must not be before from, nor more than {MOST_REPLAYED - 1} after it")
        queued, previous, done = 0, first - 1, first - 1
        while done < last:
            async with self.database.transaction() as connection:
                target = _enabled(owned(await webhooks.lock_webhook(connection, webhook), owner))
                last = min(last, await journal_position(connection))
                events = await events_after(connection, done, min(_CHUNK, max(last - done, 0)))
                if not events:
                    break
                wanted = [event for event in events if is_for(target, event)]
                made = deliveries_for(target, wanted, previous)
                if made:
                    await followers.add_deliveries(connection, FOLLOWER, made)
                    previous = made[-1].position
            queued, done = queued + len(made), events[-1].position
        return Replayed(queued, max(done, first - 1))

    async def forget_old_attempts(self) -> None:
        """Those that were made more than 90 days ago."""
        forgotten = _SWEPT_AT_ONCE
        while forgotten == _SWEPT_AT_ONCE:
            async with self.database.background() as connection:
                forgotten = await webhooks.forget_old_attempts(connection, KEEP_ATTEMPTS_DAYS, _SWEPT_AT_ONCE)


def _enabled(webhook: Webhook) -> Webhook:
    if webhook.status is WebhookStatus.DISABLED:
        raise WebhookDisabled
    return webhook


def is_for(webhook: Webhook, event: Event) -> bool:
    """Whether the webhook asked for such events, and its owner may see this one."""
    if event.type in INTERNAL_TYPES or not wants(webhook.event_types, event.type):
        return False
    return webhook.scope is Scope.ALL or webhook.owner in event.users


def deliveries_for(webhook: Webhook, events: Sequence[Event], previous: int) -> list[Delivery]:
    """One for each of `events`, all for the webhook; none for it lies between `previous` and the first."""
    viewer = None if webhook.scope is Scope.ALL else webhook.owner
    made = []
    for event in events:
        payload = event.document(viewer) | {"previousposition": previous}
        made.append(Delivery(event.position, event.id, show_id(webhook.id), payload))
        previous = event.position
    return made
