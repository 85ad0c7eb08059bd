"""What is said about closing and reopening books."""

from typing import Final

from nostro.api.openapi.accounts import PAGE_FIELDS, PAGE_RULE
from nostro.api.openapi.description import Access, Body, Description, Descriptions, Json, Success
from nostro.api.openapi.fields import CURRENCY, NAME, TEXT, list_of, record, ref
from nostro.api.openapi.history import BOUND
from nostro.api.openapi.samples import NOON, OPERATOR_ID, plain
from nostro.api.periods import event_document, period_document
from nostro.domain.errors import (
    InvalidField,
    MissingField,
    NotAuditor,
    NotOperator,
    PeriodConflict,
    UnknownCurrency,
)
from nostro.domain.ids import ObjectId
from nostro.store.periods import ClosedPeriod, PeriodEvent

_TAG: Final = "Reports"
_OCTOBER = NOON.replace(month=11, day=1, hour=0, minute=0, microsecond=0)
_CLOSED: Json = plain(period_document("INR", ClosedPeriod("INR", _OCTOBER, NOON)))
PERIOD_EVENT: Json = plain(
    event_document(
        PeriodEvent(
            7,
            NOON,
            "PERIOD_CLOSED",
            ObjectId(bytes.fromhex(OPERATOR_ID)),
            "Olga",
            "INR",
            None,
            _OCTOBER,
            "October was reported",
        )
    )
)
_MAYBE: Json = {"anyOf": [ref("Timestamp"), {"type": "null"}]}
_CODE: Json = {"type": "string", "minLength": 1, "description": "Any case; an account was opened in it."}
_UNTIL: Json = BOUND | {
    "description": "A moment, which is not part of it, or a date, which is, to its end in `tz`."
}
_ZONE: Json = {
    "type": ["string", "null"],
    "description": "The time zone whose days dates are; UTC unless given.",
}

SCHEMAS: dict[str, Json] = {
    "Period": record(
        {
            "currency": CURRENCY,
            "closedUntil": _MAYBE | {"description": "Nothing that happened before is taken; null: it is open."},
            "closedAt": _MAYBE | {"description": "When it was last closed."},
        },
        "How far the book of a currency, all accounts in it, is closed.",
        example=_CLOSED,
    ),
    "PeriodEvent": record(
        {
            "position": {"type": "integer", "minimum": 1},
            "kind": {"type": "string", "enum": ["PERIOD_CLOSED", "PERIOD_REOPENED"]},
            "currency": CURRENCY,
            "before": _MAYBE,
            "after": _MAYBE,
            "reason": TEXT,
            "actor": {"anyOf": [ref("Id"), {"type": "null"}], "description": "Null: the command line."},
            "actorName": {"type": ["string", "null"]},
            "createdAt": ref("Timestamp"),
        },
        "A book that was closed or reopened: how far it was closed before and after.",
        example=PERIOD_EVENT,
    ),
}


def _change(
    name: str, summary: str, text: str, message: str, required: tuple[str, ...], until: Json
) -> Description:
    return Description(
        name=name,
        tag=_TAG,
        summary=summary,
        text=text,
        access=Access.USER,
        body=Body(
            {"currency": _CODE, "until": until, "tz": _ZONE, "reason": NAME},
            required,
            {"october": {"currency": "INR", "until": "2026-10-31", "reason": "October was reported"}},
        ),
        answers=(
            Success(
                "Done.",
                {"message": {"const": message}, "period": ref("Period")},
                {"message": message, "period": _CLOSED},
            ),
        ),
        refusals=(
            NotOperator(),
            MissingField(*required),
            InvalidField("until", "must be at least a minute ago: only what is over can be closed"),
            UnknownCurrency(),
            PeriodConflict(closedUntil=_OCTOBER),
        ),
    )


DESCRIPTIONS: Descriptions = {
    ("GET", "/api/periods"): Description(
        name="listPeriods",
        tag=_TAG,
        summary="Which books are closed (operators and auditors only)",
        text="And in pages, newest first, who closed and reopened them, and why.",
        access=Access.USER,
        parameters=("limit", "skip"),
        answers=(
            Success(
                "The books that are closed, and a page of events.",
                {"periods": list_of("Period"), "events": list_of("PeriodEvent")} | PAGE_FIELDS,
                {"periods": [_CLOSED], "events": [PERIOD_EVENT], "limit": 50, "skip": 0},
            ),
        ),
        refusals=(PAGE_RULE, NotAuditor()),
    ),
    ("POST", "/api/periods/close"): _change(
        "closePeriod",
        "Close a book (operators only)",
        "Afterwards nothing is taken in this currency that is said to have happened before `until`, but "
        "what an operator or a system user marks with `restate`; that shows in the report of restatements.",
        "Period closed",
        ("currency", "until", "reason"),
        _UNTIL,
    ),
    ("POST", "/api/periods/reopen"): _change(
        "reopenPeriod",
        "Reopen a book (operators only)",
        "It stays closed for what happened before `until`; without `until` it is open. What was recorded "
        "meanwhile still shows as a restatement of what had been closed.",
        "Period reopened",
        ("currency", "reason"),
        _UNTIL | {"type": ["string", "null"]},
    ),
}
