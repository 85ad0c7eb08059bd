"""Webhooks and the requests made to them, as rows. Secrets come and go sealed."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from nostro.domain.delivery import delivery_id
from nostro.domain.ids import ObjectId, show_id
from nostro.domain.webhook import Scope, WebhookStatus
from nostro.store.arrays import bytes_array, plain_array
from nostro.store.database import Connection
from nostro.store.queries import SQL

# The name of the follower that sends to webhooks; the target of a delivery is the webhook's id as it is shown.
FOLLOWER = "webhooks"


class Webhook(NamedTuple):
    """A row of `webhooks`. `secret` and `previous_secret` are sealed.

    It gets events after the position `starts_after`; the last one that was queued for it is `last_position`.
    """

    id: ObjectId
    owner: ObjectId
    scope: Scope
    status: WebhookStatus
    url: str
    description: str | None
    event_types: tuple[str, ...]
    secret: str
    previous_secret: str | None
    previous_until: datetime | None
    disabled_reason: str | None
    starts_after: int
    last_position: int
    failing_since: datetime | None
    paused_until: datetime | None
    created_at: datetime
    updated_at: datetime


class Attempt(NamedTuple):
    """One request that was made. `http_status` None: there was no answer. `reason` None: it was delivered."""

    position: int
    attempt: int
    requested_at: datetime
    duration_ms: int | None
    http_status: int | None
    reason: str | None


class WebhookDelivery(NamedTuple):
    """What became of an event for a webhook. `due_at` is when a pending one is sent next."""

    message: str
    position: int
    status: str
    attempts: int
    last_error: str | None
    due_at: datetime
    created_at: datetime
    sent_at: datetime | None


def _webhook(row: Any) -> Webhook:
    return Webhook(
        **dict(row)
        | {
            "scope": Scope(row["scope"]),
            "status": WebhookStatus(row["status"]),
            "event_types": tuple(row["event_types"]),
        }
    )


async def position_without_webhooks(connection: Connection) -> int | None:
    """Where the journal stands while there is no webhook at all; None when there is one."""
    position: int | None = await connection.fetchval(SQL["position_without_webhooks"])
    return position


async def insert_webhook(
    connection: Connection,
    webhook: ObjectId,
    owner: ObjectId,
    *,
    scope: Scope,
    url: str,
    description: str | None,
    event_types: Iterable[str],
    sealed_secret: str,
) -> None:
    """Its first event is one after the journal's head as it is now."""
    types = list(event_types)
    await connection.execute(
        SQL["insert_webhook"], webhook, owner, scope.value, url, description, types, sealed_secret
    )


async def count_webhooks(connection: Connection, owner: ObjectId) -> int:
    """How many `owner` has; nobody adds one before this database transaction ends."""
    await connection.execute(SQL["lock_owner_of_webhooks"], owner)
    count: int = await connection.fetchval(SQL["count_webhooks"], owner)
    return count


async def webhook_by_id(connection: Connection, webhook: ObjectId) -> Webhook | None:
    row = await connection.fetchrow(SQL["webhook_by_id"], webhook)
    return _webhook(row) if row else None


async def lock_webhook(connection: Connection, webhook: ObjectId) -> Webhook | None:
    row = await connection.fetchrow(SQL["lock_webhook"], webhook)
    return _webhook(row) if row else None


async def webhooks_of(connection: Connection, owner: ObjectId) -> list[Webhook]:
    """In the order they were made."""
    return [_webhook(row) for row in await connection.fetch(SQL["webhooks_of"], owner)]


async def webhooks_for(connection: Connection, users: Iterable[ObjectId]) -> list[Webhook]:
    """Those of `users`, and those that get everybody's events."""
    return [_webhook(row) for row in await connection.fetch(SQL["webhooks_for"], bytes_array(set(users)))]


async def change_webhook(
    connection: Connection,
    webhook: ObjectId,
    *,
    url: str,
    description: str | None,
    event_types: Iterable[str],
    disabled_reason: str | None,
) -> None:
    """`disabled_reason` None: enabled."""
    status = WebhookStatus.ENABLED if disabled_reason is None else WebhookStatus.DISABLED
    await connection.execute(
        SQL["change_webhook"], webhook, url, description, list(event_types), status.value, disabled_reason
    )


async def rotate_secret(
    connection: Connection, webhook: ObjectId, sealed_secret: str, overlap_s: float
) -> None:
    """The secret until now goes on signing beside the new one for `overlap_s` seconds (0: not at all)."""
    await connection.execute(SQL["rotate_webhook_secret"], webhook, sealed_secret, float(overlap_s))


async def delete_webhook(connection: Connection, webhook: ObjectId) -> None:
    """And the log of its attempts."""
    await connection.execute(SQL["delete_webhook"], webhook)


async def note_queued(connection: Connection, last_positions: Mapping[ObjectId, int]) -> None:
    await connection.execute(
        SQL["note_queued"], bytes_array(last_positions), plain_array(last_positions.values())
    )


async def begin_attempt(
    connection: Connection, attempt: ObjectId, webhook: ObjectId, position: int, number: int
) -> None:
    """Before the request: `number` counts the attempts of this delivery from 1."""
    await connection.execute(SQL["begin_webhook_attempt"], attempt, webhook, position, number)


async def end_attempt(
    connection: Connection, attempt: ObjectId, *, duration_ms: int, http_status: int | None, reason: str | None
) -> None:
    """After it: `reason` says why it failed, None that it was delivered."""
    await connection.execute(SQL["end_webhook_attempt"], attempt, duration_ms, http_status, reason)


async def note_delivered(connection: Connection, webhook: ObjectId) -> None:
    await connection.execute(SQL["note_delivered"], webhook)


async def note_failed(connection: Connection, webhook: ObjectId, pause_s: float | None) -> None:
    """Nothing is sent to it for `pause_s` seconds (None: no pause)."""
    await connection.execute(SQL["note_failed"], webhook, pause_s)


async def disable_webhook(connection: Connection, webhook: ObjectId, reason: str) -> ObjectId | None:
    """Its owner; None when it was disabled or deleted already."""
    owner: ObjectId | None = await connection.fetchval(SQL["disable_webhook"], webhook, reason)
    return owner


async def attempts_of(connection: Connection, webhook: ObjectId, *, limit: int, skip: int) -> list[Attempt]:
    """Newest first."""
    rows = await connection.fetch(SQL["webhook_attempts"], webhook, limit, skip)
    return [Attempt(*row) for row in rows]


async def deliveries_of(
    connection: Connection, webhook: ObjectId, position: int | None, *, limit: int, skip: int
) -> list[WebhookDelivery]:
    """Newest first; that of the event at `position` only, if one is given."""
    rows = await connection.fetch(SQL["webhook_deliveries"], show_id(webhook), position, limit, skip)
    return [WebhookDelivery(delivery_id(FOLLOWER, row["position"], show_id(webhook)), *row) for row in rows]


async def forget_old_attempts(connection: Connection, days: int, limit: int) -> int:
    """Delete up to `limit` of those made more than `days` days ago; how many were."""
    return len(await connection.fetch(SQL["forget_old_webhook_attempts"], days, limit))
