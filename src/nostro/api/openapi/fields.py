"""What a single value looks like, and how an object of them is said.

Where a rule is wider than a schema can say (an amount has the places of its currency, a name is printable),
the schema is the part that can be said and the description the rest, so that whatever breaks the schema is
refused.
"""

from nostro.api.event_schemas import EVENT_TYPES
from nostro.api.openapi.description import Json
from nostro.domain.destination import LONGEST_URL
from nostro.domain.details import (
    DEEPEST_METADATA,
    LARGEST_METADATA,
    LONGEST_DESCRIPTION,
    LONGEST_REFERENCE,
)
from nostro.domain.requests import LONGEST_HOLD_S
from nostro.domain.webhook import EVERYTHING, MOST_PATTERNS
from nostro.ledger.users import LONGEST_EMAIL, LONGEST_NAME, LONGEST_PASSWORD, SHORTEST_PASSWORD


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
PRINTABLE_LINE = r"^[^\u0000-\u001f\u007f]*$"
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
    "pattern": PRINTABLE_LINE,
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
GIVEN_CODE: Json = {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9]{2,11}$"}
