"""The components of the document: what ids, amounts, accounts, transactions and errors look like.

Answers say exactly what the service writes. Requests say what every accepted one has in common (fields.py).
"""

from nostro.api.openapi.description import Json
from nostro.api.openapi.fields import COUNT, CURRENCY, NAME, TEXT, list_of, record, ref
from nostro.api.openapi.samples import (
    ANN,
    ANN_ACCOUNT,
    EVENT,
    FOLLOWER,
    FROZEN_EVENT,
    FUNDS,
    LIMITS,
    POINTS,
    RUPEES_TO_DOLLARS,
    SEEN_TRANSFER,
)
from nostro.api.openapi.webhook_samples import ATTEMPT, DELIVERY, WEBHOOK
from nostro.domain.account import AccountStatus
from nostro.domain.money import MAX_MINOR, MAX_TEXT
from nostro.domain.transaction import Kind, TransactionStatus
from nostro.domain.user import Role
from nostro.domain.webhook import Scope, WebhookStatus
from nostro.ledger.currencies import MOST_PLACES
from nostro.store.trail import AUDITED


def _enumerated(values: list[str], text: str) -> Json:
    return {"type": "string", "enum": values, "description": text}


_OPTIONAL_TIME: Json = {"oneOf": [ref("Timestamp"), {"type": "null"}]}
_STAMPS: Json = {"createdAt": ref("Timestamp"), "updatedAt": ref("Timestamp"), "__v": {"const": 0}}

TRANSACTION_FIELDS: Json = {
    "_id": ref("Id"),
    "id": ref("Id"),
    "fromAccount": ref("Id"),
    "toAccount": ref("Id"),
    "amount": ref("Amount"),
    "currency": CURRENCY,
    "kind": {"type": "string", "enum": [kind.value for kind in Kind]},
    "status": {"type": "string", "enum": [status.value for status in TransactionStatus]},
    "idempotencyKey": TEXT,
    "position": COUNT | {"description": "Its place in the journal: dense, from 1, in order of commit."},
    "effectiveAt": ref("Timestamp") | {"description": "When it happened; createdAt: when it was recorded."},
    **_STAMPS,
}

# What only some kinds of transactions have, beside the fields that all of them have.
OPTIONAL_TRANSACTION_FIELDS: Json = {
    "parent": ref("Id") | {"description": "The hold, or the movement that flows back, that this is about."},
    "heldAmount": ref("AmountOrNothing") | {"description": "HOLD: what it still holds."},
    "capturedAmount": ref("AmountOrNothing"),
    "releasedAmount": ref("AmountOrNothing") | {"description": "What was let go."},
    "failureReason": {"type": ["string", "null"], "description": "voided or expired."},
    "expiresAt": ref("Timestamp"),
    "rate": {"type": "number", "description": "EXCHANGE: units of counterCurrency for one of currency."},
    "counterAmount": ref("AmountOrNothing") | {"description": "EXCHANGE: what arrived."},
    "counterCurrency": CURRENCY,
    "legs": list_of("Leg") | {"description": "Of a transaction that has more than one."},
    "reversedAmount": ref("AmountOrNothing"),
    "reversibleAmount": ref("AmountOrNothing"),
    "description": TEXT,
    "reference": TEXT,
    "metadata": {"type": "object"},
}

_SIDE_FIELDS: Json = {
    "direction": _enumerated(
        ["DEBIT", "CREDIT", "INTERNAL"],
        "As the caller sees it; INTERNAL when both accounts are the caller's.",
    ),
    "counterpartyAccountId": ref("Id"),
    "counterpartyUserName": TEXT,
    "counterpartyUserEmail": TEXT,
}

_NO_AMOUNT: Json = {"type": ["number", "null"], "minimum": 0}
_LIMITS: Json = {
    "floor": {"type": ["number", "null"], "description": "What the available money must not fall below."},
    "ceiling": _NO_AMOUNT | {"description": "What the balance must not exceed."},
    "single": _NO_AMOUNT | {"description": "The most that one transaction may pay."},
    "daily": _NO_AMOUNT | {"description": "The most that may be paid in a day of UTC."},
    "monthly": _NO_AMOUNT | {"description": "The most that may be paid in a month of UTC."},
    "hourly": {
        "type": ["integer", "null"],
        "minimum": 0,
        "description": "How many transfers, exchanges and holds there may be in an hour.",
    },
}
_GIVEN_BOUND: Json = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": MAX_MINOR},
        {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,15})(\.[0-9]+)?$", "maxLength": MAX_TEXT},
        {"type": "null"},
    ],
}
GIVEN_LIMITS: Json = {
    "floor": {
        "anyOf": [
            {"type": "number", "minimum": -MAX_MINOR, "maximum": MAX_MINOR},
            {"type": "string", "pattern": r"^-?(0|[1-9][0-9]{0,15})(\.[0-9]+)?$", "maxLength": MAX_TEXT + 1},
            {"type": "null"},
        ],
        "description": "Below zero it is an overdraft. Null is 0, and for a settlement account: without limit.",
    },
    "ceiling": _GIVEN_BOUND,
    "single": _GIVEN_BOUND,
    "daily": _GIVEN_BOUND,
    "monthly": _GIVEN_BOUND,
    "hourly": {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 999_999_999},
            {"type": "string", "pattern": "^(0|[1-9][0-9]{0,8})$"},
            {"type": "null"},
        ]
    },
    "reason": NAME,
}

# What a refusal may know beside the members that every refusal has.
_FACTS: Json = {
    "fields": {"type": "array", "items": TEXT, "description": "The required fields that are missing."},
    "field": {"type": "string", "description": "The field whose value is not allowed."},
    "role": _enumerated(["from", "to"], "Which of the two accounts is not there."),
    "conflictingFields": {
        "type": "array",
        "items": TEXT,
        "description": "In what the request differs from the one that took the key.",
    },
    "required": ref("Amount"),
    "available": ref("SignedAmount"),
    "shortfall": ref("Amount"),
    "currency": CURRENCY,
    "held": ref("AmountOrNothing") | {"description": "What is left of the hold."},
    "reversible": ref("AmountOrNothing") | {"description": "What has not flowed back yet."},
    "limit": _enumerated(["single", "hourly", "daily", "monthly"], "Which limit would be exceeded."),
    "remaining": {"type": "number", "minimum": 0, "description": "What is left of the limit."},
    "condition": _enumerated(["ifBalance", "ifVersion"], "Which condition does not hold."),
    "account": ref("Id") | {"description": "Whose condition it is."},
    "balance": ref("SignedAmount"),
    "version": COUNT | {"description": "The number of the account's last entry."},
    "rate": {"type": "string", "description": "The exchange rate in force."},
    "closedUntil": ref("Timestamp"),
    "largestAmount": ref("AmountOrNothing") | {"description": "Dry run: the most that would pass."},
    "earliestAvailableAt": ref("Timestamp"),
    "outcome": {"const": "unknown"},
    "entries": COUNT | {"description": "How many entries the period has."},
    "most": COUNT | {"description": "How many it may have."},
    "index": {"type": "integer", "description": "Which transfer of an all-or-nothing request it was."},
}

_PROBLEM_FIELDS: Json = {
    "message": {"type": "string", "description": "The sentence of the dialect, for people."},
    "status": {"const": "failed"},
    "success": {"const": False},
    "code": {"type": "string", "description": "Stable, for programs; explained at `type`."},
    "retryable": {"type": "boolean", "description": "Whether the same request may succeed later."},
    "type": {"type": "string", "format": "uri-reference"},
    "title": TEXT,
    "detail": TEXT,
    "instance": {"type": "string", "description": "The path that was asked for."},
    "httpStatus": {"type": "integer", "minimum": 400, "maximum": 599},
}

SCHEMAS: dict[str, Json] = {
    "Id": {"type": "string", "pattern": "^[0-9a-f]{24}$", "examples": [ANN_ACCOUNT["_id"]]},
    "GivenId": {"type": "string", "pattern": "^[0-9a-fA-F]{24}$", "examples": [ANN_ACCOUNT["_id"]]},
    "Timestamp": {
        "type": "string",
        "format": "date-time",
        "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
        "examples": ["2026-11-20T12:00:00.250Z"],
    },
    "Amount": {
        "type": "number",
        "exclusiveMinimum": 0,
        "description": "Major units, exact, with at most the places of the currency.",
        "examples": [10.5],
    },
    "AmountOrNothing": {"type": "number", "minimum": 0, "description": "Major units, exact."},
    "SignedAmount": {
        "type": "number",
        "description": "Major units, exact. Below zero only in a settlement account.",
        "examples": [89.5],
    },
    "GivenAmount": {
        "description": "Major units: a JSON number or a string of the same digits, greater than zero, with at "
        f"most the places of the currency and at most {MAX_MINOR} minor units. No sign, no exponent.",
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_MINOR},
            {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,15})(\.[0-9]+)?$", "maxLength": MAX_TEXT},
        ],
        "examples": [10.5, "10.50"],
    },
    "User": record(
        {
            "_id": ref("Id"),
            "id": ref("Id"),
            "email": TEXT,
            "name": TEXT,
            "systemUser": {"type": "boolean"},
            "role": {"type": "string", "enum": [role.value for role in Role]},
        },
        "A user. Whether it is a system user only the operator's command line decides.",
        example=ANN,
    ),
    "Account": record(
        {
            "_id": ref("Id"),
            "id": ref("Id"),
            "user": ref("Id") | {"description": "The owner."},
            "name": {"type": ["string", "null"]},
            "description": {"type": ["string", "null"]},
            "reference": {"type": ["string", "null"]},
            "metadata": {"type": ["object", "null"]},
            "status": {"type": "string", "enum": [status.value for status in AccountStatus]},
            "currency": CURRENCY,
            "balance": ref("SignedAmount"),
            "available": ref("SignedAmount") | {"description": "The balance less what is held."},
            "systemAccount": {"type": "boolean", "description": "Where money enters the ledger."},
            **_STAMPS,
        },
        "An account with its balance.",
        example=ANN_ACCOUNT,
    ),
    "Currency": record(
        {
            "code": CURRENCY,
            "exponent": {
                "type": "integer",
                "minimum": 0,
                "maximum": MOST_PLACES,
                "description": "Decimal places.",
            },
            "name": {"type": ["string", "null"]},
            "custom": {"type": "boolean", "description": "Registered here, not of ISO 4217."},
        },
        "What accounts may be opened in.",
        example=POINTS,
    ),
    "Rate": record(
        {
            "base": CURRENCY,
            "quote": CURRENCY,
            "rate": {
                "type": "number",
                "exclusiveMinimum": 0,
                "description": "Units of `quote` for one of `base`, exact.",
            },
            "maker": ref("Id") | {"description": "The system user who exchanges at it."},
            "updatedAt": ref("Timestamp"),
        },
        "An exchange rate in force.",
        example=RUPEES_TO_DOLLARS,
    ),
    "Limits": record(_LIMITS, "What it may have and pay; null: no such limit.", example=LIMITS["limits"]),
    "LimitUsage": record(
        {
            "used": {"type": "number", "minimum": 0},
            "remaining": {"type": ["number", "null"], "minimum": 0},
            "resetsAt": ref("Timestamp"),
        },
        "What was spent in the period that is under way, and what is left of its limit if there is one.",
    ),
    "AccountEvent": record(
        {
            "position": COUNT | {"description": "Its place in the journal."},
            "kind": {"type": "string", "enum": list(AUDITED)},
            "createdAt": ref("Timestamp"),
            "by": _enumerated(["OWNER", "OPERATOR", "COMMAND_LINE"], "Whose hand it was."),
            "actor": {"anyOf": [ref("Id"), {"type": "null"}], "description": "The user who did it."},
            "reason": {"type": ["string", "null"]},
            "before": {"type": ["object", "null"], "description": "What was changed, as it was."},
            "after": {"type": "object", "description": "The same, as it is since."},
        },
        "One change of an account. `actor` and `reason` are null where the caller may not know them.",
        example=FROZEN_EVENT,
    ),
    "Transaction": record(
        TRANSACTION_FIELDS | OPTIONAL_TRANSACTION_FIELDS,
        "Money that moved, was set aside, or was let go.",
        optional=tuple(OPTIONAL_TRANSACTION_FIELDS),
        example=FUNDS,
    ),
    "SeenTransaction": record(
        TRANSACTION_FIELDS
        | OPTIONAL_TRANSACTION_FIELDS
        | _SIDE_FIELDS
        | {"related": list_of("Transaction") | {"description": "What is about it: captures, reversals …"}},
        "A transaction as one of its sides sees it.",
        optional=(*OPTIONAL_TRANSACTION_FIELDS, "related"),
        example=SEEN_TRANSFER,
    ),
    "Preview": record(
        TRANSACTION_FIELDS | OPTIONAL_TRANSACTION_FIELDS,
        "A transaction that was not made: without id and position, unless it is a replay.",
        optional=("_id", "id", "position", *OPTIONAL_TRANSACTION_FIELDS),
    ),
    "Leg": record(
        {
            "fromAccount": ref("Id"),
            "toAccount": ref("Id"),
            "amount": ref("Amount"),
            "currency": CURRENCY,
        }
    ),
    "Head": record(
        {
            "account": ref("Id"),
            "balance": ref("SignedAmount"),
            "available": ref("SignedAmount"),
            "currency": CURRENCY,
        },
        "One of the caller's accounts, as it would be afterwards.",
    ),
    "BulkResult": record(
        {
            "index": COUNT,
            "status": {"type": "integer", "description": "The HTTP status the transfer alone would have had."},
            "code": {"type": "string", "description": "posted, replayed, or the code of the refusal."},
            "message": TEXT,
            "transaction": ref("Transaction"),
            "detail": TEXT,
            "retryable": {"type": "boolean"},
        }
        | _FACTS,
        "What became of one transfer of a bulk request.",
        optional=("transaction", "detail", "retryable", *_FACTS),
    ),
    "Event": record(
        {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "pattern": "^evt_[1-9][0-9]*$"},
            "source": TEXT,
            "type": {"type": "string", "pattern": r"^io\.nostro\."},
            "time": ref("Timestamp"),
            "subject": TEXT,
            "datacontenttype": {"const": "application/json"},
            "dataschema": TEXT,
            "position": {"type": "integer", "minimum": 1},
            "data": {"type": "object", "description": "By type: see `/schemas/events/{type}`."},
        },
        "What happened: CloudEvents 1.0. `source` and `id` together are unique everywhere and for ever.",
        example=EVENT,
    ),
    "Follower": record(
        {
            "name": TEXT,
            "position": COUNT,
            "behind": COUNT,
            "behindSeconds": {"type": ["number", "null"]},
            "pending": COUNT,
            "setAside": COUNT,
            "lastError": {"type": ["string", "null"]},
            "failedAt": {"anyOf": [ref("Timestamp"), {"type": "null"}]},
        },
        "Somebody who follows the journal.",
        example=FOLLOWER,
    ),
    "Webhook": record(
        {
            "_id": ref("Id"),
            "id": ref("Id"),
            "scope": _enumerated(
                [scope.value for scope in Scope], "Whose events: the owner's, or everybody's."
            ),
            "status": {"type": "string", "enum": [status.value for status in WebhookStatus]},
            "disabledReason": {"type": ["string", "null"]},
            "url": TEXT,
            "description": {"type": ["string", "null"]},
            "eventTypes": {"type": "array", "items": TEXT},
            "lastPosition": COUNT | {"description": "Of the last event queued; at first the journal's head."},
            "failingSince": _OPTIONAL_TIME | {"description": "Since when no event has arrived."},
            "pausedUntil": _OPTIONAL_TIME | {"description": "Until when the receiver wants to be left alone."},
            "previousSecretUntil": _OPTIONAL_TIME | {"description": "Until when two secrets sign."},
            "createdAt": ref("Timestamp"),
            "updatedAt": ref("Timestamp"),
        },
        "A URL that events are sent to.",
        example=WEBHOOK,
    ),
    "WebhookDelivery": record(
        {
            "messageId": {
                "type": "string",
                "description": "`webhook-id`: the same for every attempt and resend.",
            },
            "position": COUNT,
            "status": _enumerated(["PENDING", "SENT", "SET_ASIDE"], "SET_ASIDE: not tried again by itself."),
            "attempts": COUNT,
            "lastError": {"type": ["string", "null"]},
            "nextAttemptAt": _OPTIONAL_TIME,
            "createdAt": ref("Timestamp"),
            "sentAt": _OPTIONAL_TIME,
        },
        "One event for one webhook, and what became of it.",
        example=DELIVERY,
    ),
    "WebhookAttempt": record(
        {
            "position": COUNT,
            "attempt": {"type": "integer", "minimum": 1},
            "delivered": {"type": "boolean"},
            "httpStatus": {"type": ["integer", "null"], "description": "null: nobody answered."},
            "reason": {"type": ["string", "null"], "description": "Why it failed; null: it was delivered."},
            "durationMs": {"type": ["integer", "null"], "minimum": 0},
            "requestedAt": ref("Timestamp"),
        },
        "One request that was made. Of what the receiver answered only the status is kept.",
        example=ATTEMPT,
    ),
    "Problem": record(
        _PROBLEM_FIELDS | _FACTS,
        "A refusal: the members of RFC 9457 beside those that older clients read. The numeric status is "
        "`httpStatus`, because `status` is an old member with another meaning.",
        optional=tuple(_FACTS),
    ),
}
