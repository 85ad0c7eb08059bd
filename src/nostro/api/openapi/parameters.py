"""The parameters of the document: what stands in paths, queries and headers."""

from nostro.api.documentation_files import DOCS_FILES
from nostro.api.event_schemas import EVENT_TYPES
from nostro.api.openapi.description import Json
from nostro.api.openapi.fields import EMAIL, GIVEN_CODE, PRINTABLE_LINE, ref
from nostro.api.openapi.samples import (
    ANN,
    ANN_ACCOUNT,
    TRANSFER,
)
from nostro.api.openapi.webhook_samples import DELIVERY, WEBHOOK
from nostro.api.paging import DEFAULT_LIMIT, LARGEST_LIMIT, LARGEST_POSITION, LARGEST_SKIP
from nostro.domain.details import (
    LONGEST_REFERENCE,
)
from nostro.ledger.users import LONGEST_NAME

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
        "schema": GIVEN_CODE,
        "example": "INR",
    },
    "quote": {
        "name": "quote",
        "in": "path",
        "required": True,
        "description": "The currency that arrives.",
        "schema": GIVEN_CODE,
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
        "schema": {"type": "string", "maxLength": LONGEST_REFERENCE, "pattern": PRINTABLE_LINE},
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
