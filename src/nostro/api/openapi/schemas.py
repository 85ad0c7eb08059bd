"""The components of the document: what ids, amounts, accounts, transactions and errors look like.

Answers say exactly what the service writes. Requests say what every accepted one has in common: where a rule
is wider than a schema can say (an amount has the places of its currency, a name is printable), the schema is
the part that can be said and the description the rest, so that whatever breaks the schema is refused.
"""

from nostro.api.documentation_files import DOCS_FILES
from nostro.api.event_schemas import EVENT_TYPES
from nostro.api.openapi.description import Json
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
    TRANSFER,
)
from nostro.api.openapi.webhook_samples import ATTEMPT, DELIVERY, WEBHOOK
from nostro.api.paging import DEFAULT_LIMIT, LARGEST_LIMIT, LARGEST_POSITION, LARGEST_SKIP
from nostro.domain.account import AccountStatus
from nostro.domain.destination import LONGEST_URL
from nostro.domain.details import (
    DEEPEST_METADATA,
    LARGEST_METADATA,
    LONGEST_DESCRIPTION,
    LONGEST_REFERENCE,
)
from nostro.domain.money import MAX_MINOR, MAX_TEXT
from nostro.domain.requests import LONGEST_HOLD_S
from nostro.domain.transaction import Kind, TransactionStatus
from nostro.domain.user import Role
from nostro.domain.webhook import EVERYTHING, MOST_PATTERNS, Scope, WebhookStatus
from nostro.ledger.currencies import MOST_PLACES
from nostro.ledger.users import LONGEST_EMAIL, LONGEST_NAME, LONGEST_PASSWORD, SHORTEST_PASSWORD
from nostro.store.trail import AUDITED


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(name: str) -> Json:
    return {"type": "array", "items": ref(name)}


def record(fields: Json, text: str = "", optional: tuple[str, ...] = (), example: Json | None = None) -> Json:
    """An object whose fields are all there but the `optional` ones; later versions may add members."""
    schema: Json = {
        "type": "object",
        "properties": fields,
        "required": [name for name in fields if name not in optional],
    }
    if text:
        schema["description"] = text
    if example is not None:
        schema["examples"] = [example]
    return schema


TEXT: Json = {"type": "string"}
TRUE: Json = {"const": True}
CURRENCY: Json = {"type": "string", "pattern": "^[A-Z][A-Z0-9]{2,11}$", "examples": ["INR"]}
COUNT: Json = {"type": "integer", "minimum": 0}

_NOT_BLANK = r"\S"
_WITHOUT_NUL = r"^[^\u0000]+$"
_PRINTABLE_LINE = r"^[^\u0000-\u001f\u007f]*$"
_PRINTABLE_LINES = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$"
_ATOM = r"""[^@\s\u0000-\u001f\u007f<>()\[\]\\,;:"]+"""
_LAST_LABEL = r"""[^@\s\u0000-\u001f\u007f.<>()\[\]\\,;:"]+"""

# What requests carry.
EMAIL: Json = {
    "type": "string",
    "maxLength": LONGEST_EMAIL,
    "pattern": rf"^\s*{_ATOM}@{_ATOM}\.{_LAST_LABEL}\s*$",
    "description": "Trimmed and lower-cased before it is compared or kept.",
}
ANY_EMAIL: Json = {"type": "string", "minLength": 1, "pattern": _WITHOUT_NUL}
ANY_PASSWORD: Json = {"type": "string", "minLength": 1, "pattern": _WITHOUT_NUL, "format": "password"}
PASSWORD: Json = {
    "type": "string",
    "minLength": SHORTEST_PASSWORD,
    "maxLength": LONGEST_PASSWORD,
    "pattern": _WITHOUT_NUL,
    "format": "password",
}
NAME: Json = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_NAME,
    "pattern": _NOT_BLANK,
    "description": "One line of printable characters; white space around it is dropped.",
}
OPTIONAL_NAME: Json = NAME | {
    "type": ["string", "null"],
    "minLength": 0,
    "pattern": rf"^$|{_NOT_BLANK}",
}
DESCRIPTION: Json = {
    "type": ["string", "null"],
    "maxLength": LONGEST_DESCRIPTION,
    "pattern": _PRINTABLE_LINES,
    "description": "For people. White space around it is dropped; null or blank: none.",
}
REFERENCE: Json = {
    "type": ["string", "null"],
    "maxLength": LONGEST_REFERENCE,
    "pattern": _PRINTABLE_LINE,
    "description": "A name of your own to find it by; need not be unique. Null or blank: none.",
}
EXPIRES_IN: Json = {
    "type": "integer",
    "minimum": 1,
    "maximum": LONGEST_HOLD_S,
    "description": "Seconds from now, by the server's clock.",
}
METADATA: Json = {
    "type": ["object", "null"],
    "description": f"A JSON object of at most {LARGEST_METADATA} bytes and {DEEPEST_METADATA} levels. Every "
    "digit of its numbers is kept; the order of its members is not.",
    "examples": [{"order": "A-17", "weight": 1.50}],
}
OPTIONAL_CURRENCY: Json = {
    "type": ["string", "null"],
    "pattern": r"^(\s*[A-Za-z][A-Za-z0-9]{2,11}\s*)?$",
    "description": "A code of ISO 4217 that has decimal places, or of an asset registered here; the house "
    "currency unless given.",
}
KEY: Json = {
    "type": ["string", "null"],
    "pattern": "^[ -~]{0,255}$",
    "description": "1 to 255 printable ASCII characters, new for each transfer that is meant. May come as the "
    "header Idempotency-Key instead; one of the two is required, and two that differ are refused.",
}

WEBHOOK_URL: Json = {
    "type": "string",
    "maxLength": LONGEST_URL,
    "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[!-~]+$",
    "description": "https:// (http:// outside production), and a host that leads to public addresses.",
}
_GROUPS = sorted({name.partition(".")[0] + ".*" for name in EVENT_TYPES})
EVENT_PATTERNS: Json = {
    "type": ["array", "null"],
    "minItems": 1,
    "maxItems": MOST_PATTERNS,
    "items": {"type": "string", "enum": [*EVENT_TYPES, *_GROUPS, EVERYTHING]},
    "description": "Event types (`transaction.completed`), groups of them (`hold.*`) or all, `*`.",
}
_GIVEN_CODE: Json = {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9]{2,11}$"}

PARAMETERS: dict[str, Json] = {
    "account": {
        "name": "account",
        "in": "path",
        "required": True,
        "schema": ref("GivenId"),
        "example": ANN_ACCOUNT["_id"],
    },
    "user": {"name": "user", "in": "path", "required": True, "schema": ref("GivenId"), "example": ANN["_id"]},
    "transaction": {
        "name": "transaction",
        "in": "path",
        "required": True,
        "schema": ref("GivenId"),
        "example": TRANSFER["_id"],
    },
    "webhook": {
        "name": "webhook",
        "in": "path",
        "required": True,
        "schema": ref("GivenId"),
        "example": WEBHOOK["_id"],
    },
    "position": {
        "name": "position",
        "in": "path",
        "required": True,
        "description": "Of an event in the journal.",
        "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST_POSITION},
        "example": DELIVERY["position"],
    },
    "key": {
        "name": "key",
        "in": "path",
        "required": True,
        "description": "The idempotency key, percent-encoded.",
        "schema": {"type": "string", "pattern": "^[ -~]{1,255}$"},
        "example": TRANSFER["idempotencyKey"],
    },
    "email": {
        "name": "email",
        "in": "path",
        "required": True,
        "schema": EMAIL,
        "example": ANN["email"],
    },
    "file": {
        "name": "file",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": list(DOCS_FILES)},
        "example": "start.js",
    },
    "code": {
        "name": "code",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
        "example": "insufficient_funds",
    },
    "atomic": {
        "name": "atomic",
        "in": "query",
        "description": "All or nothing.",
        "allowEmptyValue": True,
        "schema": {"type": "string", "enum": ["true", "false"]},
        "example": "false",
    },
    "accountId": {
        "name": "accountId",
        "in": "query",
        "description": "Only transactions of this account, which must be the caller's.",
        "allowEmptyValue": True,
        "schema": ref("GivenId"),
    },
    "status": {
        "name": "status",
        "in": "query",
        "description": "Only transactions in this state (any case).",
        "allowEmptyValue": True,
        "schema": {"type": "string", "enum": ["PENDING", "COMPLETED", "FAILED", "REVERSED"]},
        "example": "COMPLETED",
    },
    "type": {
        "name": "type",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": list(EVENT_TYPES)},
        "example": "transaction.completed",
    },
    "after": {
        "name": "after",
        "in": "query",
        "description": "A place in the journal; 0, before its beginning, unless given.",
        "allowEmptyValue": True,
        "schema": {"type": "integer", "minimum": 0, "maximum": LARGEST_POSITION, "default": 0},
    },
    "lastEventId": {
        "name": "lastEventId",
        "in": "query",
        "description": "The `id` to resume behind, for clients that cannot send the header.",
        "allowEmptyValue": True,
        "schema": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
    },
    "Last-Event-ID": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The `id` to resume behind, as browsers send it when they connect again. Comes first.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
    },
    "scope": {
        "name": "scope",
        "in": "query",
        "description": "`all`: everybody's accounts, for operators and auditors.",
        "schema": {"type": "string", "enum": ["own", "all"], "default": "own"},
    },
    "base": {
        "name": "base",
        "in": "path",
        "required": True,
        "description": "The currency that is paid.",
        "schema": _GIVEN_CODE,
        "example": "INR",
    },
    "quote": {
        "name": "quote",
        "in": "path",
        "required": True,
        "description": "The currency that arrives.",
        "schema": _GIVEN_CODE,
        "example": "USD",
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "description": "How many to answer at most.",
        "allowEmptyValue": True,
        "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": DEFAULT_LIMIT},
    },
    "skip": {
        "name": "skip",
        "in": "query",
        "description": "How many to leave out first.",
        "allowEmptyValue": True,
        "schema": {"type": "integer", "minimum": 0, "maximum": LARGEST_SKIP, "default": 0},
    },
    "reference": {
        "name": "reference",
        "in": "query",
        "description": "Only those with this reference.",
        "allowEmptyValue": True,
        "schema": {"type": "string", "maxLength": LONGEST_REFERENCE, "pattern": _PRINTABLE_LINE},
    },
    "metadata": {
        "name": "metadata",
        "in": "query",
        "style": "deepObject",
        "explode": True,
        "description": "Only those whose metadata has these members, up to four: `metadata[order]=A-17`. A "
        "value that writes a number, true, false or null finds both that and the text.",
        "schema": {
            "type": "object",
            "maxProperties": 4,
            "additionalProperties": {"type": "string"},
        },
        "example": {"order": "A-17"},
    },
    "text": {
        "name": "text",
        "in": "query",
        "description": "Only those with this in their description, reference or (accounts) name, in any case.",
        "allowEmptyValue": True,
        "schema": {"type": "string", "maxLength": LONGEST_NAME},
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Another place for `idempotencyKey`, bare or in double quotes.",
        "schema": {"type": "string", "pattern": "^[ -~]{0,257}$"},
        "example": "rent-november",
    },
}


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
