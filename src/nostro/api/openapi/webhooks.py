"""What is said about webhooks."""

from typing import Final

from nostro.api.openapi.accounts import PAGE_FIELDS, PAGE_RULE
from nostro.api.openapi.description import Access, Body, Description, Descriptions, Json, Success
from nostro.api.openapi.fields import COUNT, DESCRIPTION, EVENT_PATTERNS, TEXT, WEBHOOK_URL, list_of, ref
from nostro.api.openapi.webhook_samples import ATTEMPT, DELIVERY, ROTATED_WEBHOOK, SECRET, WEBHOOK
from nostro.api.paging import LARGEST_POSITION
from nostro.api.paths import WEBHOOKS
from nostro.api.webhooks import DEFAULT_OVERLAP_HOURS
from nostro.domain.errors import (
    InvalidField,
    InvalidId,
    MissingField,
    NostroError,
    NotFound,
    NotOperator,
    TooManyWebhooks,
    UnknownWebhook,
    WebhookDisabled,
)
from nostro.domain.webhook import Scope, WebhookStatus
from nostro.ledger.webhook_deliveries import MOST_REPLAYED
from nostro.ledger.webhooks import LONGEST_OVERLAP_HOURS, MOST_WEBHOOKS

_TAG: Final = "Webhooks"
_ONE: Json = {"webhook": ref("Webhook")}
_TOLD: Json = {"secret": {"type": "string", "description": "Signs what is sent. It is not told again."}}
_POSITION: Json = {"type": "integer", "minimum": 1, "maximum": LARGEST_POSITION}
_OWN: tuple[NostroError, ...] = (InvalidId("webhookId"), UnknownWebhook())
_RULES: tuple[NostroError, ...] = (
    InvalidField("url", "must lead to a public address, or one that NOSTRO_WEBHOOK_ALLOW names"),
    InvalidField("eventTypes", "must be event types such as transaction.completed, hold.* or *"),
)
_FIELDS: Json = {"url": WEBHOOK_URL, "eventTypes": EVENT_PATTERNS, "description": DESCRIPTION}

DESCRIPTIONS: Descriptions = {
    ("POST", WEBHOOKS): Description(
        name="createWebhook",
        tag=_TAG,
        summary="Have events sent to a URL",
        text="From now on, signed as Standard Webhooks says. With the scope ALL, which is for operators, "
        f"everybody's events; else those that concern the caller. At most {MOST_WEBHOOKS} for each user.",
        access=Access.USER,
        body=Body(
            _FIELDS
            | {"scope": {"type": ["string", "null"], "enum": [*(scope.value for scope in Scope), None]}},
            ("url",),
            {"rent": {"url": WEBHOOK["url"], "eventTypes": ["transaction.*"], "description": "Rent book"}},
        ),
        answers=(
            Success(
                "Made. The secret is told here and never again.",
                _ONE | _TOLD,
                {"webhook": WEBHOOK, "secret": SECRET},
                "webhook_created",
                links=("webhook",),
            ),
        ),
        refusals=(
            MissingField("url"),
            *_RULES,
            InvalidField("scope", "must be OWN or ALL"),
            NotOperator(),
            TooManyWebhooks(f"A user has at most {MOST_WEBHOOKS} webhooks"),
        ),
    ),
    ("GET", WEBHOOKS): Description(
        name="listWebhooks",
        tag=_TAG,
        summary="List my webhooks",
        text="In the order they were made, without their secrets.",
        access=Access.USER,
        answers=(Success("The caller's.", {"webhooks": list_of("Webhook")}, {"webhooks": [WEBHOOK]}),),
    ),
    ("GET", f"{WEBHOOKS}/{{webhook}}"): Description(
        name="getWebhook",
        tag=_TAG,
        summary="Look at one webhook",
        text="The caller's own; another user's gets the answer of one that does not exist.",
        access=Access.USER,
        parameters=("webhook",),
        answers=(Success("The webhook.", _ONE, {"webhook": WEBHOOK}),),
        refusals=_OWN,
    ),
    ("PATCH", f"{WEBHOOKS}/{{webhook}}"): Description(
        name="changeWebhook",
        tag=_TAG,
        summary="Change, disable or enable a webhook",
        text="What is absent stays as it is. Events that come while it is disabled are set aside: enable it, "
        "then replay their positions.",
        access=Access.USER,
        parameters=("webhook",),
        body=Body(
            _FIELDS
            | {"url": WEBHOOK_URL | {"type": ["string", "null"]}}
            | {"status": {"type": ["string", "null"], "enum": [*(one.value for one in WebhookStatus), None]}},
            (),
            {"enable": {"status": "ENABLED"}},
            optional=True,
        ),
        answers=(
            Success("Changed.", {"message": TEXT} | _ONE, {"message": "Webhook changed", "webhook": WEBHOOK}),
        ),
        refusals=(*_OWN, *_RULES, InvalidField("status", "must be ENABLED or DISABLED")),
    ),
    ("DELETE", f"{WEBHOOKS}/{{webhook}}"): Description(
        name="deleteWebhook",
        tag=_TAG,
        summary="Delete a webhook",
        text="And its log. What still waits to be sent to it is not sent any more.",
        access=Access.USER,
        parameters=("webhook",),
        answers=(Success("Deleted.", {"message": TEXT}, {"message": "Webhook deleted"}),),
        refusals=_OWN,
    ),
    ("POST", f"{WEBHOOKS}/{{webhook}}/rotate"): Description(
        name="rotateWebhookSecret",
        tag=_TAG,
        summary="Get a new secret for a webhook",
        text="Until `overlapHours` have passed every message carries two signatures, one for each secret.",
        access=Access.USER,
        parameters=("webhook",),
        body=Body(
            {
                "overlapHours": {
                    "type": ["integer", "null"],
                    "minimum": 0,
                    "maximum": LONGEST_OVERLAP_HOURS,
                    "description": f"{DEFAULT_OVERLAP_HOURS} unless given.",
                }
            },
            (),
            {"a day": {"overlapHours": 24}, "at once": {"overlapHours": 0}},
            optional=True,
        ),
        answers=(
            Success(
                "The new secret is told here and never again.",
                {"message": TEXT} | _ONE | _TOLD,
                {"message": "Webhook secret rotated", "webhook": ROTATED_WEBHOOK, "secret": SECRET},
            ),
        ),
        refusals=(
            *_OWN,
            InvalidField("overlapHours", f"must be a whole number from 0 to {LONGEST_OVERLAP_HOURS}"),
        ),
    ),
    ("GET", f"{WEBHOOKS}/{{webhook}}/deliveries"): Description(
        name="listWebhookDeliveries",
        tag=_TAG,
        summary="What became of the events for a webhook",
        text="Newest first. What was sent long ago is no longer listed; it can still be replayed.",
        access=Access.USER,
        parameters=("webhook", "limit", "skip"),
        answers=(
            Success(
                "One page.",
                {"deliveries": list_of("WebhookDelivery")} | PAGE_FIELDS,
                {"deliveries": [DELIVERY], "limit": 50, "skip": 0},
            ),
        ),
        refusals=(*_OWN, PAGE_RULE),
    ),
    ("POST", f"{WEBHOOKS}/{{webhook}}/deliveries/{{position}}/resend"): Description(
        name="resendWebhookDelivery",
        tag=_TAG,
        summary="Send an event to a webhook again",
        text="Whatever became of it, under the same message id.",
        access=Access.USER,
        parameters=("webhook", "position"),
        answers=(
            Success(
                "Queued.",
                {"message": TEXT, "delivery": ref("WebhookDelivery")},
                {"message": "Event queued again", "delivery": DELIVERY},
            ),
        ),
        refusals=(
            *_OWN,
            InvalidField("position", f"must be a whole number from 1 to {LARGEST_POSITION}"),
            NotFound("No event was queued for this webhook at this position"),
            WebhookDisabled(),
        ),
    ),
    ("GET", f"{WEBHOOKS}/{{webhook}}/attempts"): Description(
        name="listWebhookAttempts",
        tag=_TAG,
        summary="Every request that was made to a webhook",
        text="Newest first, those of the last 90 days.",
        access=Access.USER,
        parameters=("webhook", "limit", "skip"),
        answers=(
            Success(
                "One page.",
                {"attempts": list_of("WebhookAttempt")} | PAGE_FIELDS,
                {"attempts": [ATTEMPT], "limit": 50, "skip": 0},
            ),
        ),
        refusals=(*_OWN, PAGE_RULE),
    ),
    ("POST", f"{WEBHOOKS}/{{webhook}}/replay"): Description(
        name="replayWebhook",
        tag=_TAG,
        summary="Send a range of events to a webhook again",
        text=f"Those of the positions `from` to `to`, both included, at most {MOST_REPLAYED}; also events from "
        "before the webhook was made. Each under the message id it always has.",
        access=Access.USER,
        parameters=("webhook",),
        body=Body(
            {
                "from": _POSITION,
                "to": {"type": ["integer", "null"]}
                | {"minimum": 1, "maximum": LARGEST_POSITION}
                | {"description": f"{MOST_REPLAYED - 1} after `from` unless given."},
            },
            ("from",),
            {"what was missed": {"from": 1204, "to": 1377}},
        ),
        answers=(
            Success(
                "`queued` events were queued; `to` is the last position that was looked at.",
                {"message": TEXT, "from": COUNT, "to": COUNT, "queued": COUNT},
                {"message": "Events queued again", "from": 1204, "to": 1377, "queued": 12},
            ),
        ),
        refusals=(
            *_OWN,
            MissingField("from"),
            InvalidField("to", f"must not be before from, nor more than {MOST_REPLAYED - 1} after it"),
            WebhookDisabled(),
        ),
    ),
}
