"""Every type of event that users may see: what it tells, and the JSON Schema of its document.

A document in one version of a schema may gain members; none is taken away or changes its meaning. Served at
`/schemas/events`, written into docs/reference/events.md, and held to real events by
tests/contract/test_events.py.
"""

from typing import Any, NamedTuple

from nostro.domain.event import schema_of
from nostro.ledger.event_examples import examples

Json = dict[str, Any]


class EventType(NamedTuple):
    """`data`: the schemas of its members, `optional` those that are not always there."""

    text: str
    data: Json
    optional: tuple[str, ...] = ()


_TEXT: Json = {"type": "string"}
_ID: Json = {"type": "string", "pattern": "^[0-9a-f]{24}$"}
_TIME: Json = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"}
_AMOUNT: Json = {"type": "number", "exclusiveMinimum": 0, "description": "Major units, exact."}
_SIGNED: Json = {"type": "number", "description": "Major units, exact."}
_CURRENCY: Json = {"type": "string", "pattern": "^[A-Z][A-Z0-9]{2,11}$"}


def _record(fields: Json, optional: tuple[str, ...] = (), text: str = "") -> Json:
    schema: Json = {
        "type": "object",
        "properties": fields,
        "required": [name for name in fields if name not in optional],
    }
    return schema | ({"description": text} if text else {})


def _list(item: Json, text: str) -> Json:
    return {"type": "array", "items": item, "description": text}


_TRANSACTION = _record(
    {
        "id": _ID,
        "kind": {"type": "string", "description": "What the journal calls it, such as TRANSFER or CAPTURE."},
        "status": {"enum": ["PENDING", "COMPLETED"], "description": "PENDING: a hold that was just made."},
        "fromAccount": _ID,
        "toAccount": _ID,
        "amount": _AMOUNT,
        "currency": _CURRENCY,
        "createdAt": _TIME,
        "requestedBy": _ID | {"description": "Only for whoever asked for it, and for operators."},
        "idempotencyKey": {"type": "string", "description": "Only for whoever asked, and for operators."},
        "parent": _ID | {"description": "The hold, or the movement that flows back."},
        "releasedAmount": _AMOUNT | {"description": "What a capture let go of the rest of its hold."},
        "counterAmount": _AMOUNT | {"description": "What arrived, of an exchange."},
        "counterCurrency": _CURRENCY,
        "rate": _AMOUNT | {"description": "Units of counterCurrency for one of currency."},
        "expiresAt": _TIME,
        "effectiveAt": _TIME | {"description": "When it happened, where that is before it was recorded."},
        "description": _TEXT,
        "reference": _TEXT,
        "metadata": {"type": "object"},
    },
    (
        "requestedBy",
        "idempotencyKey",
        "parent",
        "releasedAmount",
        "counterAmount",
        "counterCurrency",
        "rate",
        "expiresAt",
        "effectiveAt",
        "description",
        "reference",
        "metadata",
    ),
)
_ENTRY = _record(
    {
        "account": _ID,
        "seq": {"type": "integer", "minimum": 1, "description": "Its place within the account, from 1."},
        "direction": {"enum": ["DEBIT", "CREDIT"]},
        "amount": _AMOUNT,
        "currency": _CURRENCY,
        "balanceAfter": _SIGNED,
    }
)
_HOLD = _record(
    {"account": _ID, "heldAfter": _SIGNED, "balanceAfter": _SIGNED, "availableAfter": _SIGNED},
    text="What the payer's account held after it; only for its owner and for operators.",
)
_LEG = _record(
    {
        "leg": {"type": "integer", "minimum": 1},
        "fromAccount": _ID,
        "toAccount": _ID,
        "amount": _AMOUNT,
        "currency": _CURRENCY,
    }
)
_OF_MONEY: Json = {
    "transaction": _TRANSACTION,
    "entries": _list(_ENTRY, "One per side; to a customer those of the customer's own accounts."),
    "hold": _HOLD,
    "legs": _list(_LEG, "Of a transaction with several; to a customer those that touch an own account."),
}


def _money(text: str) -> EventType:
    return EventType(text, _OF_MONEY, ("hold", "legs"))


_ACTOR = _ID | {"description": "Who did it; told to that user and to operators."}


def _about_user(text: str, **details: Json) -> EventType:
    return EventType(text, {"user": _ID, "actor": _ACTOR, "details": _record(details)}, ("actor",))


def _about_account(text: str, optional: tuple[str, ...] = (), **details: Json) -> EventType:
    fields = {
        "user": _ID | {"description": "The owner."},
        "account": _ID,
        "currency": _CURRENCY,
        "actor": _ACTOR,
        "details": _record(details, optional),
    }
    return EventType(text, fields, ("actor",))


def _about_order(text: str, **more: Json) -> EventType:
    return _about_account(text, (), order=_ID, status=_TEXT, to=_ID, amount=_AMOUNT, **more)


_CLOSED_UNTIL: Json = _TIME | {
    "type": ["string", "null"],
    "description": "What happened before is closed; null: nothing.",
}


def _about_period(text: str) -> EventType:
    details = {"currency": _CURRENCY, "before": _CLOSED_UNTIL, "after": _CLOSED_UNTIL, "reason": _TEXT}
    return EventType(text, {"actor": _ACTOR, "details": _record(details)}, ("actor",))


_DETAILS = _record(
    {
        "name": {"type": ["string", "null"]},
        "description": {"type": ["string", "null"]},
        "reference": {"type": ["string", "null"]},
        "metadata": {"type": ["object", "null"]},
    },
    ("name", "description", "reference", "metadata"),
)

_DAY: Json = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
_PLACES: Json = {"type": "integer", "minimum": 0, "description": "Decimal places."}
_RATE: Json = {"type": "string", "description": "An exact decimal; null: there was none."}

_BOUND: Json = {"type": ["number", "null"], "description": "Major units; null: none."}
_LIMITS = _record(
    {
        "floor": _BOUND,
        "ceiling": _BOUND,
        "single": _BOUND,
        "daily": _BOUND,
        "monthly": _BOUND,
        "hourly": {"type": ["integer", "null"], "description": "How many transfers; null: any number."},
    }
)

EVENT_TYPES: dict[str, EventType] = {
    "transaction.completed": _money("Money moved: a transfer, initial funds or an exchange."),
    "transaction.reversed": _money("All or part of a movement flowed back. `parent` is that movement."),
    "hold.created": _money("Money was set aside on the payer's account. The balance has not moved."),
    "hold.extended": _money("A hold expires later than before, at `expiresAt`."),
    "hold.captured": _money(
        "All or part of a hold became a movement; `releasedAmount` went back to available."
    ),
    "hold.voided": _money("What was left of a hold was let go."),
    "hold.expired": _money("What was left of a hold was let go, because its time was over."),
    "user.registered": _about_user("Somebody became a user.", role=_TEXT),
    "user.password_changed": _about_user("A user has a new password. Tokens issued before are void."),
    "account.opened": _about_account(
        "An account was opened.", currency=_CURRENCY, settlement={"type": "boolean"}
    ),
    "account.status_changed": _about_account(
        "An account has another status. Customers are not told a reason that is not their own.",
        ("reason",),
        before=_TEXT,
        after=_TEXT,
        reason=_TEXT,
    ),
    "account.details_changed": _about_account(
        "An account's name, description, reference or metadata changed; null: none.",
        before=_DETAILS,
        after=_DETAILS,
    ),
    "account.limits_changed": _about_account(
        "What an account may have and pay changed. Customers are not told a reason that is not their own.",
        ("reason",),
        before=_LIMITS,
        after=_LIMITS,
        reason=_TEXT,
    ),
    "statement.ready": _about_account(
        "A month is over in which the account moved: its statement can be fetched. Days of UTC, both included.",
        since=_DAY,
        until=_DAY,
    ),
    "standing_order.created": _about_order("A standing order was made."),
    "standing_order.changed": _about_order("A standing order has other terms."),
    "standing_order.paused": _about_order("A standing order rests until it is resumed."),
    "standing_order.resumed": _about_order("A standing order that rested goes on."),
    "standing_order.cancelled": _about_order("A standing order was ended before its time."),
    "standing_order.completed": _about_order("A standing order was carried out for the last time."),
    "standing_order.failed": _about_order(
        "An occurrence of a standing order was tried for the last time and failed; `code` says why.",
        occurrence={"type": "integer", "minimum": 1},
        attempts={"type": "integer", "minimum": 1},
        code=_TEXT,
    ),
    "webhook.created": _about_user("A webhook was made.", webhook=_ID),
    "webhook.changed": _about_user("A webhook was changed, disabled or enabled by its owner.", webhook=_ID),
    "webhook.secret_rotated": _about_user("A webhook has a new secret.", webhook=_ID),
    "webhook.disabled": _about_user(
        "A webhook was disabled, because its receiver is gone or nothing arrived for days.",
        webhook=_ID,
        cause=_TEXT,
    ),
    "webhook.deleted": _about_user("A webhook was deleted.", webhook=_ID),
    "currency.registered": EventType(
        "An asset was registered, with its places for ever. Told to operators and auditors.",
        {
            "actor": _ACTOR,
            "details": _record({"code": _CURRENCY, "exponent": _PLACES, "name": _TEXT}),
        },
        ("actor",),
    ),
    "rate.changed": _about_user(
        "A system user exchanges at another rate: units of `quote` for one of `base`.",
        base=_CURRENCY,
        quote=_CURRENCY,
        before=_RATE | {"type": ["string", "null"]},
        after=_RATE,
    ),
    "period.closed": _about_period("The book of a currency was closed. Told to operators and auditors."),
    "period.reopened": _about_period("It was opened again, from `after` on or as a whole."),
}


def schema_document(name: str) -> Json:
    """The JSON Schema of a type's whole document, with an example as an operator sees it."""
    kind = EVENT_TYPES[name]
    schema = _record(
        {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "pattern": "^evt_[1-9][0-9]*$"},
            "source": {"type": "string", "description": "The ledger. With `id`, unique everywhere."},
            "type": {"const": f"io.nostro.{name}"},
            "time": _TIME | {"description": "When it was recorded."},
            "subject": {"type": "string", "description": "The transaction, account or user it is about."},
            "datacontenttype": {"const": "application/json"},
            "dataschema": {"const": schema_of(name)},
            "position": {"type": "integer", "minimum": 1, "description": "Its place in the journal."},
            "data": _record(kind.data, kind.optional),
        },
        text=kind.text,
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": schema_of(name),
        "title": name,
        **schema,
        "examples": [examples()[name].document(None)],
    }
