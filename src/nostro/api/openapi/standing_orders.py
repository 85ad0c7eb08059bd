"""What is said about standing orders: their operations, and the shape of orders and runs."""

from datetime import UTC, datetime
from typing import Any, Final

from nostro.api.openapi.description import Access, Body, Description, Descriptions, Json, Success
from nostro.api.openapi.fields import COUNT, CURRENCY, DESCRIPTION, KEY, TEXT, list_of, record, ref
from nostro.api.openapi.samples import ANN_ACCOUNT_ID, ANN_ID, BOB_ACCOUNT_ID, TRANSFER_ID, plain
from nostro.api.paths import STANDING_ORDERS
from nostro.api.standing_orders import MOST_UPCOMING, USUAL_UPCOMING, order_document, run_document
from nostro.domain.errors import (
    AccountNotActive,
    AccountNotFound,
    CurrencyMismatch,
    InvalidAmount,
    InvalidField,
    InvalidId,
    InvalidKey,
    KeyConflict,
    MissingField,
    NotAccountOwner,
    NotFound,
    OutcomeUnknown,
    SameAccount,
    StatusConflict,
)
from nostro.domain.ids import ObjectId
from nostro.domain.money import Currency
from nostro.domain.schedule import Schedule
from nostro.domain.standing_order import (
    LONGEST_RETRY_MINUTES,
    MOST_ATTEMPTS,
    MOST_TIMES,
    CatchUp,
    OrderStatus,
    Retry,
    Run,
    RunStatus,
    StandingOrder,
)
from nostro.ledger.schedules import LONGEST_CRON, LONGEST_STEP_DAYS, LONGEST_STEP_MONTHS

_TAG: Final = "Standing orders"

_MADE = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_FIRST, _SECOND = datetime(2026, 11, 30, 8, tzinfo=UTC), datetime(2026, 12, 31, 8, tzinfo=UTC)
_RENT = StandingOrder(
    id=ObjectId(bytes.fromhex("691f00a10000000000000041")),
    owner=ObjectId(bytes.fromhex(ANN_ID)),
    from_account=ObjectId(bytes.fromhex(ANN_ACCOUNT_ID)),
    to_account=ObjectId(bytes.fromhex(BOB_ACCOUNT_ID)),
    amount=1050,
    currency=Currency("INR", 2),
    schedule=Schedule(_FIRST, "Europe/Berlin", every_months=1, day_of_month=31),
    ends_at=None,
    times=12,
    retry=Retry(),
    catch_up=CatchUp.ALL,
    description="Rent",
    key="rent",
    status=OrderStatus.ACTIVE,
    failure_code=None,
    occurrence=2,
    attempts=0,
    due_at=_SECOND,
    wakes_at=_SECOND,
    mandate=None,
    created_at=_MADE,
    updated_at=_FIRST,
)
_PAID = Run(1, _FIRST, RunStatus.EXECUTED, 1, None, ObjectId(bytes.fromhex(TRANSFER_ID)), None)

ORDER: Any = plain(order_document(_RENT))
_RUN: Any = plain(run_document(_PAID))
_PREVIEW: Json = {name: value for name, value in ORDER.items() if name not in {"_id", "id", "idempotencyKey"}}
_UPCOMING = ["2026-12-31T08:00:00.000Z", "2027-01-31T08:00:00.000Z"]


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _whole(least: int, most: int, text: str = "") -> Json:
    bounds: Json = {"type": ["integer", "null"], "minimum": least, "maximum": most}
    return bounds | ({"description": text} if text else {})


_MOMENT: Json = {
    "type": ["string", "null"],
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})$",
    "examples": ["2026-12-01T09:00:00+01:00"],
}
_TIMES = _whole(1, MOST_TIMES, "It ends after so many occurrences.")
_ENDS = _MOMENT | {"description": "Nothing is due after this moment."}
_RETRY: Json = {
    "type": ["object", "null"],
    "description": "What lack of money is met with: this many attempts in all, so many minutes apart.",
    "properties": {
        "maxAttempts": _whole(1, MOST_ATTEMPTS) | {"default": Retry().attempts},
        "intervalMinutes": _whole(1, LONGEST_RETRY_MINUTES) | {"default": Retry().minutes},
    },
}
_CATCH_UP: Json = {
    "type": ["string", "null"],
    "enum": [*(one.value for one in CatchUp), None],
    "description": "What is made up for after the service was down: all that was missed, or the latest.",
}

_ORDER_FIELDS: Json = {
    "_id": ref("Id"),
    "id": ref("Id"),
    "owner": ref("Id"),
    "fromAccount": ref("Id"),
    "toAccount": ref("Id"),
    "amount": ref("Amount"),
    "currency": CURRENCY,
    "description": {"type": ["string", "null"]},
    "at": _or_null(ref("Timestamp")),
    "cron": {"type": ["string", "null"]},
    "everyDays": {"type": ["integer", "null"]},
    "everyMonths": {"type": ["integer", "null"]},
    "dayOfMonth": {"type": ["integer", "null"]},
    "timeZone": TEXT,
    "startsAt": ref("Timestamp"),
    "endsAt": _or_null(ref("Timestamp")),
    "times": {"type": ["integer", "null"]},
    "retry": record({"maxAttempts": COUNT, "intervalMinutes": COUNT}),
    "catchUp": {"type": "string", "enum": [one.value for one in CatchUp]},
    "status": {"type": "string", "enum": [one.value for one in OrderStatus]},
    "failureCode": {"type": ["string", "null"], "description": "FAILED: the refusal that ended it."},
    "occurrences": COUNT | {"description": "How many are settled, one way or another."},
    "nextRunAt": _or_null(ref("Timestamp")) | {"description": "When it is tried next; null unless ACTIVE."},
    "idempotencyKey": TEXT,
    "createdAt": ref("Timestamp"),
    "updatedAt": ref("Timestamp"),
}
_PREVIEW_FIELDS: Json = {name: _ORDER_FIELDS[name] for name in _PREVIEW}

SCHEMAS: dict[str, Json] = {
    "StandingOrder": record(_ORDER_FIELDS, "A transfer made for its owner again and again.", example=ORDER),
    "StandingOrderRun": record(
        {
            "occurrence": {"type": "integer", "minimum": 1},
            "dueAt": ref("Timestamp"),
            "status": {
                "type": "string",
                "enum": [one.value for one in RunStatus],
                "description": "RETRYING: there was too little money, and there will be another attempt. "
                "SKIPPED: the order was paused or cancelled before it.",
            },
            "attempts": {"type": "integer", "minimum": 1},
            "code": {"type": ["string", "null"], "description": "Why it was refused last."},
            "transaction": _or_null(ref("Id")) | {"description": "EXECUTED: the transfer."},
            "nextAttemptAt": _or_null(ref("Timestamp")),
        },
        "What became of one occurrence.",
        example=_RUN,
    ),
}


def _query(name: str, text: str, schema: Json, example: object) -> Json:
    return {
        "name": name,
        "in": "query",
        "description": text,
        "allowEmptyValue": True,
        "schema": schema,
        "example": example,
    }


PARAMETERS: dict[str, Json] = {
    "order": {
        "name": "order",
        "in": "path",
        "required": True,
        "schema": ref("GivenId"),
        "example": ORDER["_id"],
    },
    "beforeOrder": _query(
        "before", "Only those before this one, as `next` says.", ref("GivenId"), ORDER["_id"]
    ),
    "beforeRun": _query(
        "before",
        "Only those before this occurrence, as `next` says.",
        {"type": "integer", "minimum": 1, "maximum": MOST_TIMES},
        7,
    ),
    "orderStatus": _query(
        "status",
        "Only those in this state (any case).",
        {"type": "string", "enum": [one.value for one in OrderStatus]},
        "ACTIVE",
    ),
    "count": _query(
        "count",
        "How many to answer at most.",
        {"type": "integer", "minimum": 1, "maximum": MOST_UPCOMING, "default": USUAL_UPCOMING},
        USUAL_UPCOMING,
    ),
}

_SHOWN: Json = {"standingOrder": ref("StandingOrder")}
_EXAMPLE: Json = {"standingOrder": ORDER}
_PAGE_RULE = InvalidField("limit", "must be a whole number from 1 to 200")
_NOT_THERE = (InvalidId("standingOrderId"), NotFound("Standing order not found"))
_OVER = StatusConflict("A standing order that is COMPLETED stays so")
_MADE_LINKS = ("standingOrder", "pauseStandingOrder", "cancelStandingOrder")


def _verb(name: str, summary: str, text: str, status: OrderStatus, due: str | None) -> Description:
    return Description(
        name=name,
        tag=_TAG,
        summary=summary,
        text=f"{text} Only its owner may. To do it again changes nothing.",
        access=Access.USER,
        parameters=("order",),
        answers=(
            Success(
                "The order as it is now.",
                _SHOWN,
                {"standingOrder": ORDER | {"status": status.value, "nextRunAt": due}},
            ),
        ),
        refusals=(*_NOT_THERE, _OVER, OutcomeUnknown()),
    )


DESCRIPTIONS: Descriptions = {
    ("POST", STANDING_ORDERS): Description(
        name="createStandingOrder",
        tag=_TAG,
        summary="Have a transfer made later, or again and again",
        text="Exactly one of `at` (once), `cron` (five fields), `everyDays` and `everyMonths` says when it is "
        "due, by the clocks of `timeZone`. The dates of `everyDays` and `everyMonths` are reckoned from "
        "`startsAt`; a month that is too short for `dayOfMonth` has it on its last day. Each occurrence is "
        "transferred exactly once, by the rules of any other transfer. With `dryRun`, which needs no key, "
        "nothing is created and the answer says when it would be due.",
        access=Access.USER,
        parameters=("Idempotency-Key",),
        body=Body(
            {
                "fromAccount": ref("GivenId"),
                "toAccount": ref("GivenId"),
                "amount": ref("GivenAmount"),
                "at": _MOMENT,
                "cron": {"type": ["string", "null"], "maxLength": LONGEST_CRON, "examples": ["0 9 1 * *"]},
                "everyDays": _whole(1, LONGEST_STEP_DAYS),
                "everyMonths": _whole(1, LONGEST_STEP_MONTHS),
                "dayOfMonth": _whole(1, 31, "With everyMonths; that of startsAt unless given."),
                "timeZone": {
                    "type": ["string", "null"],
                    "minLength": 1,
                    "description": "A name of the time zone database; UTC unless given.",
                    "examples": ["Europe/Berlin"],
                },
                "startsAt": _MOMENT | {"description": "Nothing is due before it; now unless given."},
                "endsAt": _ENDS,
                "times": _TIMES,
                "retry": _RETRY,
                "catchUp": _CATCH_UP,
                "description": DESCRIPTION,
                "dryRun": {"type": ["boolean", "null"]},
                "idempotencyKey": KEY,
            },
            ("fromAccount", "toAccount", "amount"),
            {
                "rent": {
                    "fromAccount": ANN_ACCOUNT_ID,
                    "toAccount": BOB_ACCOUNT_ID,
                    "amount": 10.5,
                    "everyMonths": 1,
                    "dayOfMonth": 31,
                    "startsAt": "2026-11-30T09:00:00+01:00",
                    "timeZone": "Europe/Berlin",
                    "times": 12,
                    "description": "Rent",
                    "idempotencyKey": "rent",
                }
            },
        ),
        answers=(
            Success("Created.", _SHOWN, _EXAMPLE, "order_made", links=_MADE_LINKS),
            Success(
                "Replayed: it was created before.",
                _SHOWN,
                _EXAMPLE,
                "order_replayed",
                ("Idempotency-Replayed",),
                links=_MADE_LINKS,
            ),
            Success(
                "A dry run: what would be created.",
                {
                    "dryRun": {"const": True},
                    "standingOrder": record(_PREVIEW_FIELDS),
                    "upcoming": list_of("Timestamp"),
                },
                {"dryRun": True, "standingOrder": _PREVIEW, "upcoming": _UPCOMING},
                "order_previewed",
            ),
        ),
        refusals=(
            MissingField("fromAccount", "idempotencyKey"),
            InvalidField("cron", "must be a cron expression of five fields that comes about within 50 years"),
            InvalidField("timeZone", "must be a name of the time zone database, such as Europe/Berlin"),
            InvalidId("toAccount"),
            InvalidAmount("The currency has 2 decimal places"),
            InvalidKey(),
            SameAccount(),
            KeyConflict(conflictingFields=["amount"]),
            AccountNotFound(role="to"),
            NotAccountOwner(),
            CurrencyMismatch(),
            AccountNotActive("An account of this standing order is closed"),
            OutcomeUnknown(),
        ),
    ),
    ("GET", STANDING_ORDERS): Description(
        name="listStandingOrders",
        tag=_TAG,
        summary="List my standing orders",
        text="Newest first. `next` is the `before` of the next page, null on the last.",
        access=Access.USER,
        parameters=("orderStatus", "beforeOrder", "limit"),
        answers=(
            Success(
                "One page.",
                {"standingOrders": list_of("StandingOrder"), "limit": COUNT, "next": _or_null(ref("Id"))},
                {"standingOrders": [ORDER], "limit": 50, "next": None},
            ),
        ),
        refusals=(
            InvalidId("before"),
            _PAGE_RULE,
            InvalidField("status", "must be one of ACTIVE, PAUSED, COMPLETED, CANCELLED, FAILED"),
        ),
    ),
    ("GET", f"{STANDING_ORDERS}/{{order}}"): Description(
        name="getStandingOrder",
        tag=_TAG,
        summary="Look at a standing order",
        text="With its latest 20 occurrences. The caller's own; system users, operators and auditors see all.",
        access=Access.USER,
        parameters=("order",),
        answers=(
            Success("The order.", _SHOWN | {"runs": list_of("StandingOrderRun")}, _EXAMPLE | {"runs": [_RUN]}),
        ),
        refusals=_NOT_THERE,
    ),
    ("PATCH", f"{STANDING_ORDERS}/{{order}}"): Description(
        name="changeStandingOrder",
        tag=_TAG,
        summary="Change what is still to come",
        text="Members that are absent stay; null takes away `endsAt` and `times`. The rest holds from the next "
        "attempt on. An order that is at its end with its new terms is COMPLETED.",
        access=Access.USER,
        parameters=("order",),
        body=Body(
            {
                "amount": _or_null(ref("GivenAmount")),
                "endsAt": _ENDS,
                "times": _TIMES,
                "retry": _RETRY,
                "catchUp": _CATCH_UP,
            },
            (),
            {"more": {"amount": "11.00", "endsAt": None}},
            optional=True,
        ),
        answers=(Success("The order as it is now.", _SHOWN, _EXAMPLE),),
        refusals=(
            *_NOT_THERE,
            MissingField("amount"),
            InvalidField("times", f"must be a whole number from 1 to {MOST_TIMES}"),
            InvalidAmount("The currency has 2 decimal places"),
            _OVER,
            OutcomeUnknown(),
        ),
    ),
    ("GET", f"{STANDING_ORDERS}/{{order}}/runs"): Description(
        name="listStandingOrderRuns",
        tag=_TAG,
        summary="What became of its occurrences",
        text="Newest first. `next` is the `before` of the next page, null on the last.",
        access=Access.USER,
        parameters=("order", "beforeRun", "limit"),
        answers=(
            Success(
                "One page.",
                {"runs": list_of("StandingOrderRun"), "limit": COUNT, "next": {"type": ["integer", "null"]}},
                {"runs": [_RUN], "limit": 50, "next": None},
            ),
        ),
        refusals=(*_NOT_THERE, _PAGE_RULE),
    ),
    ("GET", f"{STANDING_ORDERS}/{{order}}/upcoming"): Description(
        name="listUpcoming",
        tag=_TAG,
        summary="When it is due next",
        text="As things stand; of a paused order as if it were resumed now.",
        access=Access.USER,
        parameters=("order", "count"),
        answers=(Success("The next times.", {"upcoming": list_of("Timestamp")}, {"upcoming": _UPCOMING}),),
        refusals=(*_NOT_THERE, InvalidField("count", f"must be a whole number from 1 to {MOST_UPCOMING}")),
    ),
    ("POST", f"{STANDING_ORDERS}/{{order}}/pause"): _verb(
        "pauseStandingOrder",
        "Pause a standing order",
        "Once this has answered, nothing is transferred for it; what falls due meanwhile is skipped.",
        OrderStatus.PAUSED,
        None,
    ),
    ("POST", f"{STANDING_ORDERS}/{{order}}/resume"): _verb(
        "resumeStandingOrder",
        "Go on with a paused standing order",
        "It goes on with the next time it is due; when there is none any more, it is COMPLETED.",
        OrderStatus.ACTIVE,
        ORDER["nextRunAt"],
    ),
    ("POST", f"{STANDING_ORDERS}/{{order}}/cancel"): _verb(
        "cancelStandingOrder",
        "Cancel a standing order",
        "Once this has answered, nothing is ever transferred for it again.",
        OrderStatus.CANCELLED,
        None,
    ),
}
