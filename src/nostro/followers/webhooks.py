"""Sends events to webhooks, as Standard Webhooks says.

    answer                      what follows
    2xx                         delivered
    410                         the webhook is disabled: the receiver wants no more
    with Retry-After            nothing is sent to this webhook for as long (429, 502, 503, 504)
    anything else, or none      tried again by the schedule of domain/webhook.py
    all attempts failed         set aside; if nothing at all arrived for three days, the webhook is disabled

What is set aside is visible and can be sent again by hand. Every request is in the log before it is made, so
that a crash in the middle of one leaves a trace; the delivery is then made again under the same id.
"""

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import httpx2

from nostro.domain.ids import ObjectId, parse_id
from nostro.domain.webhook import MOST_ATTEMPTS, RETRY_SCHEDULE_S, WebhookStatus, retry_after_s
from nostro.followers.frame import ClaimedDelivery, Delivery, Event, Later, NotNow, SetAside
from nostro.followers.webhook_requests import GONE, REQUEST_TIMEOUT_S, Answer, ask
from nostro.followers.webhook_turns import Turns
from nostro.ledger.identity import new_id
from nostro.ledger.sealing import Seal, SealBroken
from nostro.ledger.signing import signed_headers
from nostro.ledger.webhook_deliveries import deliveries_for, is_for
from nostro.ledger.webhooks import disable
from nostro.store import webhooks
from nostro.store.database import Connection, Database
from nostro.store.documents import encode_document
from nostro.store.webhooks import FOLLOWER, Webhook

DISABLED_AFTER = timedelta(days=3)


class WebhookFollower:
    """`transport` goes only where it may (followers/guard.py); `luck` spreads retries, from 0 to 1."""

    name = FOLLOWER
    retry_schedule_s = RETRY_SCHEDULE_S
    senders = 64  # requests mostly wait
    patience_s = 2 * REQUEST_TIMEOUT_S

    def __init__(
        self,
        database: Database,
        seal: Seal,
        transport: httpx2.AsyncBaseTransport,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._seal = seal
        self._transport = transport
        self._luck = luck
        self._turns = Turns(of_one_owner=self.senders // 4)

    async def deliveries(self, connection: Connection, events: Sequence[Event]) -> list[Delivery]:
        users = {user for event in events for user in event.users}
        made: list[Delivery] = []
        last_positions: dict[ObjectId, int] = {}
        for webhook in await webhooks.webhooks_for(connection, users):
            wanted = [one for one in events if one.position > webhook.starts_after and is_for(webhook, one)]
            if wanted:
                previous = webhook.last_position
                if previous >= wanted[0].position:
                    # The cursor was set back, and meets events again: only the batch tells what lies between.
                    previous = max(webhook.starts_after, events[0].position - 1)
                made += deliveries_for(webhook, wanted, previous)
                last_positions[webhook.id] = wanted[-1].position
        if last_positions:
            await webhooks.note_queued(connection, last_positions)
        return made

    async def unwanted_up_to(self, connection: Connection) -> int | None:
        """Without any webhook, the whole journal: one that is made later starts behind what is passed over
        (tests/concurrency/test_webhook_starts.py)."""
        return await webhooks.position_without_webhooks(connection)

    async def send(self, delivery: ClaimedDelivery) -> None:
        async with self._database.background() as connection:
            webhook = _ready(await webhooks.webhook_by_id(connection, parse_id(delivery.target, "webhook")))
        with self._turns.taken(webhook):
            answer = await self._attempt(webhook, delivery)
        if answer.reason is not None:
            await self._judge(webhook, delivery, answer)

    async def _attempt(self, webhook: Webhook, delivery: ClaimedDelivery) -> Answer:
        """One request, written down before and after."""
        attempt, secrets = new_id(), self._secrets_of(webhook)
        async with self._database.background() as connection:
            await webhooks.begin_attempt(connection, attempt, webhook.id, delivery.position, delivery.attempt)
        started = time.monotonic()
        body = encode_document(delivery.payload)
        headers = signed_headers(delivery.id, body, datetime.now(UTC), secrets)
        answer = await ask(self._transport, webhook.url, headers, body)
        duration_ms = int((time.monotonic() - started) * 1000)
        async with self._database.background() as connection:
            await webhooks.end_attempt(
                connection,
                attempt,
                duration_ms=duration_ms,
                http_status=answer.http_status,
                reason=answer.reason,
            )
            if answer.reason is None:
                await webhooks.note_delivered(connection, webhook.id)
            else:
                await webhooks.note_failed(connection, webhook.id, answer.retry_after_s)
        return answer

    def _secrets_of(self, webhook: Webhook) -> list[str]:
        """Those that sign now: the current one and, until its end, the one before."""
        sealed = [webhook.secret]
        if webhook.previous_secret and webhook.previous_until and webhook.previous_until > datetime.now(UTC):
            sealed.append(webhook.previous_secret)
        try:
            return [self._seal.opened(secret) for secret in sealed]
        except SealBroken:
            raise SetAside(
                "its secret was sealed under another JWT_SECRET: rotate it with overlapHours 0"
            ) from None

    async def _judge(self, webhook: Webhook, delivery: ClaimedDelivery, answer: Answer) -> None:
        """What follows a failure; always raises."""
        assert answer.reason is not None, "only failures are judged"
        if answer.http_status == GONE:
            await disable(self._database, webhook.id, "The receiver answered 410 Gone")
            raise SetAside(answer.reason)
        wait_s = retry_after_s(delivery.attempt, self._luck())
        if wait_s is not None:
            raise Later(answer.reason, max(wait_s, answer.retry_after_s or 0.0))
        if webhook.failing_since and datetime.now(UTC) - webhook.failing_since > DISABLED_AFTER:
            await disable(self._database, webhook.id, f"Nothing arrived for {DISABLED_AFTER.days} days")
        raise SetAside(f"{answer.reason}; it was the last of {MOST_ATTEMPTS} attempts")


def _ready(webhook: Webhook | None) -> Webhook:
    """Raises what becomes of a delivery that nothing is asked for now."""
    if webhook is None:
        raise SetAside("the webhook was deleted")
    if webhook.status is WebhookStatus.DISABLED:
        raise SetAside("the webhook is disabled")
    now = datetime.now(UTC)
    if webhook.paused_until is not None and webhook.paused_until > now:
        raise NotNow((webhook.paused_until - now).total_seconds())
    return webhook
