"""What is said about reports."""

from typing import Final

from nostro.api.openapi.description import Access, Description, Descriptions, Json, Success
from nostro.api.openapi.fields import COUNT, CURRENCY, TEXT, list_of, record, ref
from nostro.api.openapi.history import BOUND, CURSORS, MOMENT, query_parameter
from nostro.api.openapi.periods import PERIOD_EVENT
from nostro.api.openapi.samples import ANN_ID, BOB_ACCOUNT_ID, NOON, RENT, RUPEE, plain
from nostro.api.reports import restated_document, trial_balance_document
from nostro.domain.errors import (
    InvalidCursor,
    InvalidField,
    MissingField,
    NotAuditor,
    NotFound,
    Overloaded,
    UnknownPosition,
)
from nostro.domain.ids import ObjectId
from nostro.domain.transaction import Direction, Kind
from nostro.ledger.reports import MOST_LOOKED_AT, Balances, Grouping
from nostro.store.reports import RestatedRow, Sum

_TAG: Final = "Reports"
_SUMS: Json = {
    "currency": CURRENCY,
    "accounts": COUNT | {"description": "How many accounts have a balance."},
    "debits": ref("SignedAmount") | {"description": "What accounts are below zero, together."},
    "credits": ref("SignedAmount") | {"description": "What accounts are above zero, together."},
    "balance": ref("SignedAmount") | {"description": "Credits less debits."},
}
_CUT: Json = {
    "position": {
        "type": ["integer", "null"],
        "description": "Of the journal, at which this was so; null when a moment was asked for.",
    },
    "at": {"anyOf": [ref("Timestamp"), {"type": "null"}], "description": "The moment, if one was asked for."},
}
_KINDS: Json = {"type": "string", "enum": ["SETTLEMENT", "CUSTOMER"]}
_TRIAL = plain(
    trial_balance_document(
        Balances(
            41,
            None,
            [Sum(RUPEE, False, None, 2, 0, 10_000), Sum(RUPEE, True, None, 1, 10_000, 0)],
            {},
            None,
        )
    )
)
_BY_OWNER: Json = {
    "currency": "INR",
    "accounts": 1,
    "debits": 0,
    "credits": 89.5,
    "balance": 89.5,
    "owner": ANN_ID,
    "ownerName": "Ann",
}
_RESTATED: Json = plain(
    restated_document(
        RestatedRow(
            account=ObjectId(bytes.fromhex(BOB_ACCOUNT_ID)),
            seq=2,
            position=RENT.position,
            amount=RENT.amount,
            balance_after=RENT.amount,
            created_at=NOON,
            effective_at=NOON.replace(month=10),
            direction=Direction.CREDIT,
            transaction=RENT.id,
            kind=Kind.TRANSFER,
            description="Rent for October",
            reference=None,
            owner=ObjectId(bytes.fromhex(ANN_ID)),
            owner_name="Bob",
            currency=RUPEE,
        )
    )
)

SCHEMAS: dict[str, Json] = {
    "TrialBalance": record(
        {
            **_SUMS,
            "difference": ref("SignedAmount")
            | {"description": "Credits less debits: 0, or the books are wrong."},
            "kinds": {"type": "array", "items": record({"kind": _KINDS, **_SUMS})},
        },
        "All accounts of one currency.",
        example=_TRIAL["currencies"][0],
    ),
    "BalanceSum": record(
        {**_SUMS, "kind": _KINDS, "owner": ref("Id"), "ownerName": TEXT},
        "Some accounts of one currency: `kind` or `owner` says which.",
        optional=("kind", "owner", "ownerName"),
        example=_BY_OWNER,
    ),
    "RestatedEntry": record(
        {
            "accountId": ref("Id"),
            "owner": ref("Id"),
            "ownerName": TEXT,
            "seq": {"type": "integer", "minimum": 1},
            "position": {"type": "integer", "minimum": 1},
            "transactionId": ref("Id"),
            "kind": {"type": "string", "enum": [kind.value for kind in Kind]},
            "direction": {"type": "string", "enum": [direction.value for direction in Direction]},
            "amount": ref("Amount"),
            "change": ref("SignedAmount") | {"description": "What it did to the balance of the period."},
            "description": {"type": ["string", "null"]},
            "reference": {"type": ["string", "null"]},
            "effectiveAt": ref("Timestamp"),
            "createdAt": ref("Timestamp"),
        },
        "An entry recorded into a period after its closing.",
        example=_RESTATED,
    ),
}
PARAMETERS: dict[str, Json] = {
    "at": query_parameter("at", "As recorded by this moment; now, unless given or later.", MOMENT),
    "cutPosition": query_parameter(
        "position",
        "As far as this position of the journal.",
        {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
    ),
    "by": query_parameter(
        "by", "What is added up apart.", {"type": "string", "enum": [one.value for one in Grouping]}, "owner"
    ),
    "currency": query_parameter("currency", "Of this book (any case).", {"type": "string"}, "INR"),
    "until": query_parameter("until", "The end of the period; a date: its end.", BOUND, "2026-10-31"),
}
_CUT_RULES = (
    NotAuditor(),
    InvalidField("position", "cannot stand beside at"),
    UnknownPosition(),
    Overloaded(),
)

DESCRIPTIONS: Descriptions = {
    ("GET", "/api/reports/trial-balance"): Description(
        name="getTrialBalance",
        tag=_TAG,
        summary="Do the books balance (operators and auditors only)",
        text="Per currency, and apart for settlement accounts and customers' accounts: the sum of what is "
        "below zero and of what is above. The two are equal, now, at every moment and at every position. Told "
        "without either, the answer names the position it was made at; asked for that position, it is the "
        "same for ever.",
        access=Access.USER,
        parameters=("at", "cutPosition"),
        answers=(
            Success(
                "The trial balance.",
                _CUT | {"balanced": {"type": "boolean"}, "currencies": list_of("TrialBalance")},
                _TRIAL,
            ),
        ),
        refusals=_CUT_RULES,
    ),
    ("GET", "/api/reports/balances"): Description(
        name="getBalances",
        tag=_TAG,
        summary="Sums of balances (operators and auditors only)",
        text="By currency, by kind of account, or by owner; owners come in pages, all cut at the same "
        "position.",
        access=Access.USER,
        parameters=("by", "at", "cutPosition", "limit", "cursor"),
        answers=(
            Success(
                "The sums.",
                {
                    "by": TEXT,
                    **_CUT,
                    "balances": list_of("BalanceSum"),
                    "nextCursor": CURSORS["nextCursor"],
                    "more": CURSORS["more"],
                },
                {
                    "by": "owner",
                    "position": 41,
                    "at": None,
                    "balances": [_BY_OWNER],
                    "nextCursor": None,
                    "more": False,
                },
            ),
        ),
        refusals=(*_CUT_RULES, InvalidCursor()),
    ),
    ("GET", "/api/reports/restatements"): Description(
        name="getRestatements",
        tag=_TAG,
        summary="What changed a closed period (operators and auditors only)",
        text="Entries of a book that were recorded after it was first closed up to `until`, and are said "
        f"to have happened before: by account and seq. A page looks at {MOST_LOOKED_AT} late entries at "
        f"most, so it may be short and the list go on.",
        access=Access.USER,
        parameters=("currency", "until", "tz", "limit", "cursor"),
        answers=(
            Success(
                "The closing, and a page of what came after it.",
                {
                    "currency": CURRENCY,
                    "until": ref("Timestamp"),
                    "closing": ref("PeriodEvent"),
                    "entries": list_of("RestatedEntry"),
                    "nextCursor": CURSORS["nextCursor"],
                    "more": CURSORS["more"],
                },
                {
                    "currency": "INR",
                    "until": "2026-11-01T00:00:00.000Z",
                    "closing": PERIOD_EVENT,
                    "entries": [_RESTATED],
                    "nextCursor": None,
                    "more": False,
                },
            ),
        ),
        refusals=(
            NotAuditor(),
            MissingField("currency", "until"),
            InvalidField("until", "must be a moment with its offset, such as 2026-11-20T12:00:00Z"),
            InvalidCursor(),
            NotFound("The book was never closed as far as this"),
        ),
    ),
}
