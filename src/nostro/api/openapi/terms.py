"""What a transfer may say beyond accounts, amount and key, as schemas (api/terms.py reads it)."""

from nostro.api.openapi.description import Json
from nostro.api.openapi.fields import DESCRIPTION, EXPIRES_IN, KEY, METADATA, REFERENCE, ref
from nostro.domain.requests import MOST_LEGS

_FLAG: Json = {"type": ["boolean", "null"]}
_COMPARED: Json = {
    "anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,12})?$"}]
}
_BALANCE_TESTS: Json = {
    "type": "object",
    "minProperties": 1,
    "properties": {"gte": _COMPARED, "lte": _COMPARED, "eq": _COMPARED},
    "additionalProperties": False,
}
_VERSION: Json = {"type": "integer", "minimum": 0}


def _for_either_side(of_one: Json, text: str) -> Json:
    sides = {
        "type": "object",
        "minProperties": 1,
        "properties": {"from": of_one, "to": of_one},
        "additionalProperties": False,
    }
    return {"anyOf": [of_one, sides, {"type": "null"}], "description": text}


NOTES: Json = {"description": DESCRIPTION, "reference": REFERENCE, "metadata": METADATA}
DRY_RUN: Json = {
    "dryRun": _FLAG | {"description": "Answer what would happen, and do nothing. Needs no key."},
}
MORE_TERMS: Json = {
    **NOTES,
    **DRY_RUN,
    "effectiveAt": {
        "type": ["string", "null"],
        "description": "When it happened, if that was earlier: ISO 8601 with its offset.",
        "examples": ["2026-10-31T23:59:00Z"],
    },
    "restate": _FLAG
    | {"description": "By operators and system users: into a closed period, to show in its restatement."},
    "ifBalance": _for_either_side(
        _BALANCE_TESTS, "Only if the paying account's balance is so; under `from` and `to` for either account."
    ),
    "ifVersion": _for_either_side(
        _VERSION, "Only if this is the number of the paying account's last entry; or `from` and `to`."
    ),
}
FOLLOW_UP: Json = {"idempotencyKey": KEY, **NOTES, **DRY_RUN}

_LEG: Json = {
    "type": "object",
    "properties": {
        "fromAccount": ref("GivenId") | {"description": "That of the request unless given."},
        "toAccount": ref("GivenId"),
        "amount": ref("GivenAmount"),
    },
    "required": ["toAccount", "amount"],
}
_PART: Json = {
    "type": "object",
    "properties": {
        "account": ref("GivenId"),
        "amount": ref("GivenAmount"),
        "share": {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,2})(\.[0-9]{1,6})?%$"},
        "remainder": {"const": True},
    },
    "required": ["account"],
    "oneOf": [{"required": ["amount"]}, {"required": ["share"]}, {"required": ["remainder"]}],
}
TRANSFER_BODY: Json = {
    "type": "object",
    "description": "Other members are ignored.",
    "properties": {
        "fromAccount": ref("GivenId"),
        "toAccount": ref("GivenId"),
        "amount": ref("GivenAmount"),
        "idempotencyKey": KEY,
        "hold": _FLAG | {"description": "Set the money aside instead of moving it."},
        "expiresIn": EXPIRES_IN | {"description": "Of a hold: seconds until it expires by itself."},
        "legs": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_LEGS,
            "items": _LEG,
            "description": "Several movements, all or none, each judged after those before it.",
        },
        "to": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_LEGS,
            "items": _PART,
            "description": "Divides `amount`: fixed amounts, shares rounded together so that no unit is lost "
            "or made (largest remainder), and at most one remainder.",
        },
        **MORE_TERMS,
    },
    "anyOf": [
        {"required": ["fromAccount", "toAccount", "amount"]},
        {"required": ["fromAccount", "amount", "to"]},
        {"required": ["legs"]},
    ],
}
