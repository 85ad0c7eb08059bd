"""Webhooks: making, changing and removing them, and their secrets.

A webhook belongs to one user; to everybody else it does not exist. Its secret is told when it is made and when
it is rotated, and never again. What becomes of its events: ledger/webhook_deliveries.py; who sends them:
followers/webhooks.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nostro.domain.destination import Destinations
from nostro.domain.details import valid_description
from nostro.domain.errors import InvalidField, NotOperator, TooManyWebhooks, UnknownWebhook
from nostro.domain.ids import ObjectId, show_id
from nostro.domain.user import Role
from nostro.domain.webhook import EVERYTHING, Scope, WebhookStatus
from nostro.ledger.identity import new_id
from nostro.ledger.sealing import Seal
from nostro.ledger.signing import new_secret
from nostro.store import journal, webhooks
from nostro.store.database import Connection, Database
from nostro.store.users import User
from nostro.store.webhooks import Webhook

MOST_WEBHOOKS = 20
LONGEST_OVERLAP_HOURS = 168
_BY_OWNER = "Disabled by its owner"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a webhook shall be; None: as it is, or for a new one as it is by default.

    `event_types` has passed `parse_patterns`.
    """

    url: str | None = None
    event_types: Sequence[str] | None = None
    description: str | None = None
    status: WebhookStatus | None = None


@dataclass(frozen=True)
class Webhooks:
    database: Database
    seal: Seal
    destinations: Destinations

    async def create(self, owner: User, url: str, scope: Scope, wish: Wish) -> tuple[Webhook, str]:
        """A webhook that gets every event from now on, and its secret.

        Raises `InvalidField`, `NotOperator` (everybody's events are for operators), `TooManyWebhooks`.
        """
        url = self.destinations.checked(url)
        if scope is Scope.ALL and owner.role is not Role.OPERATOR:
            raise NotOperator
        webhook, secret = new_id(), new_secret()
        async with self.database.transaction() as connection:
            if await webhooks.count_webhooks(connection, owner.id) >= MOST_WEBHOOKS:
                raise TooManyWebhooks(f"A user has at most {MOST_WEBHOOKS} webhooks")
            await webhooks.insert_webhook(
                connection,
                webhook,
                owner.id,
                scope=scope,
                url=url,
                description=valid_description(wish.description or ""),
                event_types=wish.event_types or (EVERYTHING,),
                sealed_secret=self.seal.sealed(secret),
            )
            made = await _as_it_stands(connection, webhook)
            await _note(connection, "WEBHOOK_CREATED", made)
        return made, secret

    async def of(self, owner: ObjectId) -> list[Webhook]:
        """In the order they were made."""
        async with self.database.connection() as connection:
            return await webhooks.webhooks_of(connection, owner)

    async def one(self, owner: ObjectId, webhook: ObjectId) -> Webhook:
        """Raises `UnknownWebhook` for one that is not there and for somebody else's alike."""
        async with self.database.connection() as connection:
            return owned(await webhooks.webhook_by_id(connection, webhook), owner)

    async def change(self, owner: ObjectId, webhook: ObjectId, wish: Wish) -> Webhook:
        """Raises `UnknownWebhook`, `InvalidField`."""
        url = None if wish.url is None else self.destinations.checked(wish.url)
        description = None if wish.description is None else valid_description(wish.description)
        async with self.database.transaction() as connection:
            before = owned(await webhooks.lock_webhook(connection, webhook), owner)
            await webhooks.change_webhook(
                connection,
                webhook,
                url=url or before.url,
                description=before.description if wish.description is None else description,
                event_types=wish.event_types or before.event_types,
                disabled_reason=_reason_after(before, wish.status),
            )
            changed = await _as_it_stands(connection, webhook)
            await _note(connection, "WEBHOOK_CHANGED", changed)
        return changed

    async def rotate(self, owner: ObjectId, webhook: ObjectId, overlap_hours: int) -> tuple[Webhook, str]:
        """A new secret. The one until now signs beside it for `overlap_hours` (0 to 168).

        Raises `UnknownWebhook`, `InvalidField`.
        """
        if not 0 <= overlap_hours <= LONGEST_OVERLAP_HOURS:
            raise InvalidField("overlapHours", f"must be a whole number from 0 to {LONGEST_OVERLAP_HOURS}")
        secret = new_secret()
        async with self.database.transaction() as connection:
            owned(await webhooks.lock_webhook(connection, webhook), owner)
            await webhooks.rotate_secret(connection, webhook, self.seal.sealed(secret), overlap_hours * 3600)
            rotated = await _as_it_stands(connection, webhook)
            await _note(connection, "WEBHOOK_SECRET_ROTATED", rotated)
        return rotated, secret

    async def delete(self, owner: ObjectId, webhook: ObjectId) -> None:
        """With its log; what still waits to be sent to it is not sent any more. Raises `UnknownWebhook`."""
        async with self.database.transaction() as connection:
            gone = owned(await webhooks.lock_webhook(connection, webhook), owner)
            await webhooks.delete_webhook(connection, webhook)
            await _note(connection, "WEBHOOK_DELETED", gone)


def webhook_seal(jwt_secret: bytes) -> Seal:
    """What the secrets of webhooks are sealed with."""
    return Seal(jwt_secret, "webhook secrets")


def owned(webhook: Webhook | None, owner: ObjectId) -> Webhook:
    if webhook is None or webhook.owner != owner:
        raise UnknownWebhook
    return webhook


def _reason_after(before: Webhook, wanted: WebhookStatus | None) -> str | None:
    """Why it is disabled after the change; None: it is not."""
    if wanted is WebhookStatus.ENABLED:
        return None
    return before.disabled_reason or (_BY_OWNER if wanted is WebhookStatus.DISABLED else None)


async def _as_it_stands(connection: Connection, webhook: ObjectId) -> Webhook:
    row = await webhooks.webhook_by_id(connection, webhook)
    assert row is not None, "it was written in this database transaction"
    return row


async def _note(connection: Connection, kind: str, webhook: Webhook) -> None:
    """In the journal, as the last act. Its URL is not: a URL may carry a secret of the receiver's."""
    await journal.append_event(
        connection, kind, actor=webhook.owner, user=webhook.owner, webhook=show_id(webhook.id)
    )


async def disable(database: Database, webhook: ObjectId, cause: str) -> None:
    """By the service itself, with an event for its owner; nothing when it is disabled or gone already."""
    async with database.transaction(background=True) as connection:
        owner = await webhooks.disable_webhook(connection, webhook, cause)
        if owner is not None:
            await journal.append_event(
                connection, "WEBHOOK_DISABLED", user=owner, webhook=show_id(webhook), cause=cause
            )
