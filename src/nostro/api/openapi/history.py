"""What is said about histories: entries, balances at a moment, series."""

from typing import Final

from nostro.api.history import cursors, entry_document
from nostro.api.openapi.description import Access, Description, Descriptions, Json, Success
from nostro.api.openapi.fields import CURRENCY, TEXT, list_of, record, ref
from nostro.api.openapi.samples import ANN_ACCOUNT_ID, ANN_ID, BOB_ACCOUNT_ID, NOON, RENT, RUPEE, plain
from nostro.api.paths import ACCOUNTS
from nostro.domain.errors import (
    InvalidAmount,
    InvalidCursor,
    InvalidField,
    InvalidId,
    MissingField,
    Overloaded,
    TooManyEntries,
    UnknownAccount,
)
from nostro.domain.history import Place
from nostro.domain.money import MAX_TEXT
from nostro.domain.transaction import Direction, Kind, TransactionStatus
from nostro.ledger.calendar import MOST_STEPS, Step
from nostro.ledger.history import MOST_LOOKED_AT, MOST_SUMMED
from nostro.ledger.statements import MOST_LINES
from nostro.store.history import EntryRow

_TAG: Final = "History"
FILTER_PARAMETERS = (
    *("from", "to", "tz", "direction", "counterparty", "amount", "minAmount", "maxAmount"),
    *("kind", "status", "reference", "text", "metadata"),
)
FILTER_RULES = (
    InvalidCursor(),
    InvalidField("from", "must be a moment with its offset, such as 2026-11-20T12:00:00Z"),
    InvalidAmount("minAmount: The amount must be greater than zero", field="minAmount"),
    InvalidId("counterparty"),
)
PERIOD_RULES = (MissingField("from", "to"), InvalidField("to", "must be later than from"))
_OF_ACCOUNT = (InvalidId("accountId"), UnknownAccount())

_RENT_LINE = EntryRow(
    seq=2,
    position=RENT.position,
    amount=RENT.amount,
    balance_after=8950,
    created_at=NOON,
    effective_at=None,
    direction=Direction.DEBIT,
    transaction=RENT.id,
    kind=RENT.kind,
    status=RENT.status,
    description="Rent for November",
    reference="2026-11",
    metadata='{"flat": "3b"}',
    counterparty=RENT.to_account,
    counterparty_name="Bob",
)
_ENTRY = plain(entry_document(_RENT_LINE, RUPEE))
CURSORS: Json = {
    "nextCursor": {"type": ["string", "null"], "description": "Where the list goes on; null at its end."},
    "previousCursor": {"type": ["string", "null"], "description": "The same, in the other direction."},
    "more": {"type": "boolean", "description": "Whether the list goes on: `nextCursor` is there."},
}
_TURNED = cursors("entries of an account", {}, Place(2, older=True), Place(2, older=False))

SCHEMAS: dict[str, Json] = {
    "Entry": record(
        {
            "seq": {"type": "integer", "minimum": 1, "description": "Its place in the account: dense, from 1."},
            "position": {"type": "integer", "minimum": 1, "description": "Its place in the journal."},
            "transactionId": ref("Id"),
            "kind": {"type": "string", "enum": [kind.value for kind in Kind]},
            "status": {"type": "string", "enum": [status.value for status in TransactionStatus]},
            "direction": {"type": "string", "enum": [direction.value for direction in Direction]},
            "amount": ref("Amount"),
            "balanceAfter": ref("SignedAmount"),
            "currency": CURRENCY,
            "counterpartyAccountId": ref("Id"),
            "counterpartyUserName": TEXT,
            "description": {"type": ["string", "null"]},
            "reference": {"type": ["string", "null"]},
            "metadata": {"type": ["object", "null"]},
            "createdAt": ref("Timestamp") | {"description": "When it was recorded."},
            "effectiveAt": ref("Timestamp") | {"description": "When it happened."},
        },
        "One side of a transaction as the account saw it, with the balance after it.",
        example=_ENTRY,
    ),
    "Step": record(
        {
            "from": ref("Timestamp"),
            "to": ref("Timestamp"),
            **{
                name: ref("SignedAmount") | {"description": text}
                for name, text in {
                    "opening": "The balance when the step began.",
                    "closing": "The balance when it ended.",
                    "in": "What came in.",
                    "out": "What went out.",
                    "min": "The lowest balance of the step, its opening included.",
                    "max": "The highest.",
                }.items()
            },
            "entries": {"type": "integer", "minimum": 0},
        },
        "What an account went through in one step of time.",
    ),
}

BOUND: Json = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}([Tt]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+ -]\d{2}:?\d{2}))?$",
}
MOMENT: Json = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+ -]\d{2}:?\d{2})$",
}
_SEARCHED_AMOUNT: Json = {
    "type": "string",
    "pattern": r"^(0|[1-9][0-9]{0,15})(\.[0-9]+)?$",
    "maxLength": MAX_TEXT,
}


def query_parameter(name: str, text: str, schema: Json, example: object = None) -> Json:
    parameter = {"name": name, "in": "query", "description": text, "allowEmptyValue": True, "schema": schema}
    return parameter if example is None else parameter | {"example": example}


def _words(words: type[Direction | Kind | Step]) -> Json:
    return {"type": "string", "enum": [word.value for word in words]}


_QUERY: tuple[Json, ...] = (
    query_parameter(
        "from", "Recorded at this moment or later; a date: from its first instant.", BOUND, "2026-11-01"
    ),
    query_parameter("to", "Recorded before this moment; a date: up to its end.", BOUND, "2026-11-30"),
    query_parameter("tz", "The time zone whose days dates are; UTC unless given.", TEXT, "Asia/Kolkata"),
    query_parameter("direction", "Only these entries (any case).", _words(Direction), "DEBIT"),
    query_parameter("counterparty", "Only with this account opposite.", ref("GivenId"), BOB_ACCOUNT_ID),
    query_parameter("amount", "Only of exactly this amount.", _SEARCHED_AMOUNT, "10.5"),
    query_parameter("minAmount", "Only of this amount or more.", _SEARCHED_AMOUNT, "1"),
    query_parameter("maxAmount", "Only of this amount or less.", _SEARCHED_AMOUNT, "100"),
    query_parameter("kind", "Only transactions of this kind (any case).", _words(Kind), "TRANSFER"),
    query_parameter(
        "cursor",
        "`nextCursor` or `previousCursor` of an earlier page. It carries the filters; those sent beside it "
        "must be the same.",
        TEXT,
    ),
    query_parameter(
        "format", "json, csv or pdf (any case).", {"type": "string", "enum": ["json", "csv", "pdf"]}
    ),
    query_parameter("step", f"How long a step is; at most {MOST_STEPS} steps.", _words(Step), "day"),
    query_parameter(
        "effectiveAt",
        "The balance as it was at this moment; now, unless given or later.",
        MOMENT,
        "2026-11-20T12:00:00Z",
    ),
    query_parameter(
        "knownAt",
        "As far as was recorded by this moment; now, unless given or later.",
        MOMENT,
        "2026-12-01T00:00:00Z",
    ),
)
# A standing order is called `order`, too.
_ORDER = query_parameter(
    "order",
    "desc: newest first, as is usual; asc: oldest first.",
    {"type": "string", "enum": ["desc", "asc"]},
    "desc",
)
PARAMETERS: dict[str, Json] = {parameter["name"]: parameter for parameter in _QUERY} | {"pageOrder": _ORDER}

DESCRIPTIONS: Descriptions = {
    ("GET", f"{ACCOUNTS}/{{account}}/entries"): Description(
        name="listEntries",
        tag=_TAG,
        summary="Look at the history of an account",
        text="Its entries, newest first unless asked otherwise, each with the balance after it. Follow "
        "`nextCursor` until it is null: no entry is skipped or seen twice, whatever is recorded meanwhile; "
        f"what is new comes by `previousCursor`. One page looks at {MOST_LOOKED_AT} entries at most for those "
        "that the filters keep, so a page may be short, or empty, and the list go on. One's own account; "
        "operators and auditors see every account.",
        access=Access.USER,
        parameters=("account", *FILTER_PARAMETERS, "pageOrder", "limit", "cursor"),
        answers=(
            Success(
                "One page.",
                {"accountId": ref("Id"), "currency": CURRENCY, "entries": list_of("Entry")} | CURSORS,
                {"accountId": ANN_ACCOUNT_ID, "currency": "INR", "entries": [_ENTRY]} | _TURNED,
            ),
        ),
        refusals=(*_OF_ACCOUNT, *FILTER_RULES, InvalidField("limit", "must be a whole number from 1 to 200")),
    ),
    ("GET", f"{ACCOUNTS}/{{account}}/series"): Description(
        name="getSeries",
        tag=_TAG,
        summary="The course of a balance, for a chart",
        text="Step by step, by time of recording, in the days, weeks (from Monday) or months of a time zone. A "
        "step without entries carries the balance over; steps that have not begun are left out. At most "
        f"{MOST_STEPS} steps and {MOST_SUMMED} entries.",
        access=Access.USER,
        parameters=("account", "from", "to", "step", "tz"),
        answers=(
            Success(
                "The steps, in order.",
                {
                    "accountId": ref("Id"),
                    "currency": CURRENCY,
                    "step": TEXT,
                    "tz": TEXT,
                    "steps": list_of("Step"),
                },
                {
                    "accountId": ANN_ACCOUNT_ID,
                    "currency": "INR",
                    "step": "day",
                    "tz": "UTC",
                    "steps": [
                        {
                            "from": "2026-11-20T00:00:00.000Z",
                            "to": "2026-11-21T00:00:00.000Z",
                            "opening": 0,
                            "closing": 89.5,
                            "in": 100,
                            "out": 10.5,
                            "min": 0,
                            "max": 100,
                            "entries": 2,
                        }
                    ],
                },
            ),
        ),
        refusals=(*_OF_ACCOUNT, *PERIOD_RULES, TooManyEntries(1_200_000, MOST_SUMMED)),
    ),
    ("GET", f"{ACCOUNTS}/{{account}}/statement"): Description(
        name="getStatement",
        tag=_TAG,
        summary="The statement of a period",
        text="Opening balance, every line in order of recording, closing balance; the lines lead from one "
        f"to the other. JSON and PDF have at most {MOST_LINES} lines, CSV (which comes as it is read) any "
        f"number. In CSV a cell that a spreadsheet would take for a formula begins with an apostrophe. "
        f"`Accept` chooses the format where `format` does not.",
        access=Access.USER,
        parameters=("account", "from", "to", "tz", "format"),
        answers=(
            Success(
                "The statement.",
                {
                    "accountId": ref("Id"),
                    "owner": ref("Id"),
                    "ownerName": TEXT,
                    "name": {"type": ["string", "null"]},
                    "currency": CURRENCY,
                    "from": ref("Timestamp"),
                    "to": ref("Timestamp") | {"description": "Not part of the period."},
                    "tz": TEXT,
                    "opening": ref("SignedAmount"),
                    "in": ref("SignedAmount"),
                    "out": ref("SignedAmount"),
                    "closing": ref("SignedAmount"),
                    "entries": list_of("Entry"),
                },
                {
                    "accountId": ANN_ACCOUNT_ID,
                    "owner": ANN_ID,
                    "ownerName": "Ann",
                    "name": None,
                    "currency": "INR",
                    "from": "2026-11-01T00:00:00.000Z",
                    "to": "2026-12-01T00:00:00.000Z",
                    "tz": "UTC",
                    "opening": 100,
                    "in": 0,
                    "out": 10.5,
                    "closing": 89.5,
                    "entries": [_ENTRY],
                },
                other_media=("text/csv", "application/pdf"),
            ),
        ),
        refusals=(
            *_OF_ACCOUNT,
            *PERIOD_RULES,
            InvalidField("format", "must be one of json, csv, pdf"),
            TooManyEntries(12_000, MOST_LINES),
            Overloaded(),
        ),
    ),
}
