"""Webhooks, their deliveries and their attempts as JSON documents."""

from nostro.api.documents import Document
from nostro.domain.event import shown_time
from nostro.domain.ids import show_id
from nostro.store.webhooks import Attempt, Webhook, WebhookDelivery


def webhook_document(row: Webhook) -> Document:
    """Everything but its secrets."""
    shown = show_id(row.id)
    return {
        "_id": shown,
        "id": shown,
        "scope": row.scope.value,
        "status": row.status.value,
        "disabledReason": row.disabled_reason,
        "url": row.url,
        "description": row.description,
        "eventTypes": list(row.event_types),
        "lastPosition": row.last_position,
        "failingSince": shown_time(row.failing_since) if row.failing_since else None,
        "pausedUntil": shown_time(row.paused_until) if row.paused_until else None,
        "previousSecretUntil": shown_time(row.previous_until) if row.previous_until else None,
        "createdAt": shown_time(row.created_at),
        "updatedAt": shown_time(row.updated_at),
    }


def delivery_document(row: WebhookDelivery) -> Document:
    return {
        "messageId": row.message,
        "position": row.position,
        "status": row.status,
        "attempts": row.attempts,
        "lastError": row.last_error,
        "nextAttemptAt": shown_time(row.due_at) if row.status == "PENDING" else None,
        "createdAt": shown_time(row.created_at),
        "sentAt": shown_time(row.sent_at) if row.sent_at else None,
    }


def attempt_document(row: Attempt) -> Document:
    return {
        "position": row.position,
        "attempt": row.attempt,
        "delivered": row.reason is None,
        "httpStatus": row.http_status,
        "reason": row.reason,
        "durationMs": row.duration_ms,
        "requestedAt": shown_time(row.requested_at),
    }
