"""The webhooks of the examples, shown by the code that shows real ones."""

from datetime import timedelta
from typing import Any

from nostro.api.openapi.samples import ANN_ID, NOON, plain
from nostro.api.webhook_documents import attempt_document, delivery_document, webhook_document
from nostro.domain.ids import ObjectId
from nostro.domain.webhook import Scope, WebhookStatus
from nostro.store.webhooks import Attempt, Webhook, WebhookDelivery

# A secret of nothing but zeros: an example must never be one that works.
SECRET = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="  # noqa: S105
_WEBHOOK = Webhook(
    id=ObjectId(bytes.fromhex("691f00a10000000000000031")),
    owner=ObjectId(bytes.fromhex(ANN_ID)),
    scope=Scope.OWN,
    status=WebhookStatus.ENABLED,
    url="https://receiver.example/nostro",
    description="Rent book",
    event_types=("transaction.*",),
    secret="",
    previous_secret=None,
    previous_until=None,
    disabled_reason=None,
    starts_after=1,
    last_position=2,
    failing_since=None,
    paused_until=None,
    created_at=NOON,
    updated_at=NOON,
)
WEBHOOK: Any = plain(webhook_document(_WEBHOOK))
ROTATED_WEBHOOK: Any = plain(webhook_document(_WEBHOOK._replace(previous_until=NOON + timedelta(days=1))))
DELIVERY: Any = plain(
    delivery_document(
        WebhookDelivery(
            "webhooks-2-7d9b4f1c2a3e5b60", 2, "PENDING", 1, "HTTP 503 Service Unavailable", NOON, NOON, None
        )
    )
)
ATTEMPT: Any = plain(attempt_document(Attempt(2, 1, NOON, 120, 503, "HTTP 503 Service Unavailable")))
