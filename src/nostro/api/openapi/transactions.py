"""What is said about moving money, and about what was moved."""

from typing import Final

from nostro.api.bulk import MOST_TOGETHER, MOST_TRANSFERS
from nostro.api.history import cursors
from nostro.api.openapi.accounts import PAGE_FIELDS, PAGE_RULE
from nostro.api.openapi.description import Access, Body, Description, Descriptions, Json, Success
from nostro.api.openapi.fields import COUNT, KEY, TRUE, list_of, ref
from nostro.api.openapi.history import CURSORS, FILTER_PARAMETERS, FILTER_RULES
from nostro.api.openapi.samples import (
    ANN_ACCOUNT_ID,
    BOB_ACCOUNT_ID,
    FUNDS,
    HOLD,
    SEEN_TRANSFER,
    SHOP_ACCOUNT_ID,
    TRANSFER,
)
from nostro.api.openapi.schemas import OPTIONAL_TRANSACTION_FIELDS, TRANSACTION_FIELDS
from nostro.api.openapi.terms import MORE_TERMS, TRANSFER_BODY
from nostro.api.paths import BULK, INITIAL_FUNDS, TRANSACTIONS
from nostro.domain.errors import (
    AccountNotActive,
    AccountNotFound,
    AmountOverflow,
    CeilingExceeded,
    CurrencyMismatch,
    InsufficientFunds,
    InvalidAmount,
    InvalidField,
    InvalidId,
    InvalidKey,
    KeyConflict,
    LimitExceeded,
    MissingField,
    NostroError,
    NotAccountOwner,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    PeriodClosed,
    PreconditionFailed,
    SameAccount,
    SystemAccountNotFound,
    UnknownAccount,
)
from nostro.domain.history import Place
from nostro.ledger.history import MOST_LOOKED_AT

_TAG: Final = "Transactions"
_POSTED: Json = {"transaction": ref("Transaction")}
_REPLAYED: Json = TRANSACTION_FIELDS | OPTIONAL_TRANSACTION_FIELDS | _POSTED
ONCE = (
    "Happens exactly once per `idempotencyKey` (or `Idempotency-Key` header) of the caller: repeat the request "
    "with the same key whenever the answer was lost."
)
# In the order of errors.PRECEDENCE, which the service judges by.
ASKED: tuple[NostroError, ...] = (
    InvalidId("toAccount"),
    InvalidAmount("The currency has 2 decimal places"),
    InvalidKey(),
    SameAccount(),
    KeyConflict(conflictingFields=["amount"]),
    AccountNotFound(role="to"),
)
JUDGED: tuple[NostroError, ...] = (
    PeriodClosed(closedUntil="2026-11-01T00:00:00.000Z"),
    PreconditionFailed(condition="ifBalance", account=ANN_ACCOUNT_ID, balance=8950, currency="INR", exponent=2),
    LimitExceeded(limit="daily", required=5000, remaining=1250, currency="INR", exponent=2),
)
MOVED: tuple[NostroError, ...] = (
    CeilingExceeded(),
    AmountOverflow(),
    Overloaded(),
    OutcomeUnknown(),
)
_LIST_REFUSALS = (InvalidId("accountId"), UnknownAccount(), PAGE_RULE)
_STATUS_RULE = InvalidField("status", "must be one of PENDING, COMPLETED, FAILED, REVERSED")


def posted(situation: str, example: Json, text: str = "Done: the money is there.") -> tuple[Success, ...]:
    return (
        Success(text, _POSTED, {"transaction": example}, situation, links=("transaction",)),
        Success(
            "Replayed: it was done before. The transaction's members also stand at top level.",
            _REPLAYED,
            example | {"transaction": example},
            "replayed",
            ("Idempotency-Replayed",),
            links=("transaction",),
            optional=tuple(OPTIONAL_TRANSACTION_FIELDS),
        ),
        Success(
            "With `dryRun`: what would happen. Nothing was done.",
            {
                "dryRun": TRUE,
                "replayed": {"type": "boolean"},
                "transaction": ref("Preview"),
                "balances": list_of("Head"),
            },
            {
                "dryRun": True,
                "replayed": False,
                "transaction": {
                    name: value for name, value in example.items() if name not in {"_id", "id", "position"}
                },
                "balances": [
                    {"account": ANN_ACCOUNT_ID, "balance": 79, "available": 79, "currency": "INR"},
                ],
            },
            "previewed",
        ),
    )


def _page(name: str, summary: str, text: str, *parameters: str) -> Description:
    return Description(
        name=name,
        tag=_TAG,
        summary=summary,
        text=f"{text} Movements, holds that one has placed, and holds that are meant for one. What is kept can "
        f"be narrowed as a history can; then a page looks at {MOST_LOOKED_AT} lines at most, counts those in "
        f"`total`, and may be short and go on. With `cursor`, which is the way through a long list, there is "
        f"neither `total` nor `skip`.",
        access=Access.USER,
        parameters=(*parameters, *FILTER_PARAMETERS, "limit", "skip", "cursor"),
        answers=(
            Success(
                "One page, newest first.",
                {"transactions": list_of("SeenTransaction"), "total": COUNT} | PAGE_FIELDS | CURSORS,
                {
                    "transactions": [SEEN_TRANSFER],
                    "total": 1,
                    "limit": 50,
                    "skip": 0,
                }
                | cursors("transactions of a user", {}, None, Place(SEEN_TRANSFER["position"], older=False)),
                optional=("total", "skip"),
            ),
        ),
        refusals=(*_LIST_REFUSALS, _STATUS_RULE, *FILTER_RULES),
    )


DESCRIPTIONS: Descriptions = {
    ("POST", TRANSACTIONS): Description(
        name="transfer",
        tag=_TAG,
        summary="Send money",
        text=f"From one of the caller's accounts to any account in the same currency. {ONCE} With `hold` the "
        "money is only set aside; with `legs` or a split in `to` it goes to many, all or none. Also at "
        "`/api/transaction`, `/api/transactions/transfer`, `/api/transactions/create` and, in the words of "
        "ledgerflow, at `/transactions`.",
        access=Access.USER,
        parameters=("Idempotency-Key",),
        words="transfer",
        body=Body(
            {},
            (),
            {
                "rent": {
                    "fromAccount": ANN_ACCOUNT_ID,
                    "toAccount": BOB_ACCOUNT_ID,
                    "amount": 10.5,
                    "idempotencyKey": "rent-november",
                },
                "a hold": {
                    "fromAccount": ANN_ACCOUNT_ID,
                    "toAccount": BOB_ACCOUNT_ID,
                    "amount": 50,
                    "hold": True,
                    "expiresIn": 604800,
                    "idempotencyKey": "deposit-november",
                },
                "a split": {
                    "fromAccount": ANN_ACCOUNT_ID,
                    "amount": 100,
                    "to": [
                        {"account": SHOP_ACCOUNT_ID, "share": "2.5%"},
                        {"account": BOB_ACCOUNT_ID, "remainder": True},
                    ],
                    "idempotencyKey": "lamp",
                },
            },
            schema=TRANSFER_BODY,
        ),
        answers=(
            *posted("transferred", TRANSFER),
            Success("The money is set aside.", _POSTED, {"transaction": HOLD}, "held", links=("transaction",)),
        ),
        refusals=(
            MissingField("fromAccount", "idempotencyKey"),
            InvalidField("expiresIn", "is for a hold"),
            *ASKED,
            NotAccountOwner(),
            CurrencyMismatch(),
            AccountNotActive(),
            *JUDGED,
            InsufficientFunds(required=5000, available=1250, currency="INR", exponent=2),
            *MOVED,
        ),
    ),
    ("POST", BULK): Description(
        name="bulk",
        tag=_TAG,
        summary="Send money many times",
        text=f'Up to {MOST_TRANSFERS} transfers as a JSON array, as `{{"transfers": […]}}` or as NDJSON '
        "(`application/x-ndjson`, one a line). Each has its own `idempotencyKey` and its own result: `status` "
        "is what the transfer alone would have been answered with, `code` is `posted`, `replayed` or that of "
        "its refusal. Repeating the request replays what was done and does the rest. With `atomic`, in the "
        f"object or in the query, all of at most {MOST_TOGETHER} transfers happen or none: then the answer is "
        "the refusal of the first culprit, with its `index`.",
        access=Access.USER,
        parameters=("atomic",),
        body=Body(
            {},
            (),
            {
                "wages": {
                    "atomic": False,
                    "transfers": [
                        {
                            "fromAccount": ANN_ACCOUNT_ID,
                            "toAccount": BOB_ACCOUNT_ID,
                            "amount": 10.5,
                            "idempotencyKey": "wage-november-1",
                        }
                    ],
                }
            },
            schema={
                "oneOf": [
                    {"type": "array", "minItems": 1, "maxItems": MOST_TRANSFERS, "items": {}},
                    {
                        "type": "object",
                        "properties": {
                            "atomic": {"type": "boolean"},
                            "transfers": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": MOST_TRANSFERS,
                                "items": {},
                            },
                        },
                        "required": ["transfers"],
                    },
                ]
            },
        ),
        answers=(
            Success(
                "A result for each transfer, in their order.",
                {
                    "success": {"type": "boolean", "description": "Whether none was refused."},
                    "message": {"const": "Bulk processed"},
                    "succeeded": COUNT,
                    "replayed": COUNT,
                    "refused": COUNT,
                    "results": list_of("BulkResult"),
                },
                {
                    "success": True,
                    "message": "Bulk processed",
                    "succeeded": 1,
                    "replayed": 0,
                    "refused": 0,
                    "results": [
                        {
                            "index": 0,
                            "status": 201,
                            "code": "posted",
                            "message": "Transaction completed successfully",
                            "transaction": TRANSFER,
                        }
                    ],
                },
                without_success=True,
            ),
        ),
        refusals=(
            MissingField("transfers"),
            InvalidField("atomic", "must be true or false"),
        ),
        culprits=(
            *ASKED,
            NotAccountOwner(),
            CurrencyMismatch(),
            AccountNotActive(),
            *JUDGED,
            InsufficientFunds(required=5000, available=1250, currency="INR", exponent=2),
            *MOVED,
        ),
    ),
    ("GET", TRANSACTIONS): _page(
        "listTransactions",
        "List my transactions",
        "Those of all the caller's accounts, or of one.",
        "accountId",
    ),
    ("POST", INITIAL_FUNDS): Description(
        name="initialFunds",
        tag=_TAG,
        summary="Bring money in (system users only)",
        text=f"From the calling system user's settlement account in the receiver's currency. {ONCE} Also "
        "spelt `initial-fund`, `initial_funds` and `intial-funds`, with and without `/system`.",
        access=Access.SYSTEM,
        parameters=("Idempotency-Key",),
        words="funds",
        body=Body(
            {"toAccount": ref("GivenId"), "amount": ref("GivenAmount"), "idempotencyKey": KEY, **MORE_TERMS},
            ("toAccount", "amount"),
            {
                "gift": {
                    "toAccount": ANN_ACCOUNT_ID,
                    "amount": "100",
                    "idempotencyKey": "opening-gift",
                }
            },
        ),
        answers=posted("funded", FUNDS),
        refusals=(
            MissingField("toAccount", "amount"),
            InvalidField("hold", "has no meaning here"),
            *ASKED,
            SystemAccountNotFound(),
            AccountNotActive(),
            *JUDGED,
            *MOVED,
        ),
    ),
    ("GET", f"{TRANSACTIONS}/history"): _page(
        "listHistory", "List my transactions", "The same as `GET /api/transactions`.", "accountId"
    ),
    ("GET", f"{TRANSACTIONS}/account/{{account}}"): _page(
        "listAccountTransactions",
        "List the transactions of one of my accounts",
        "The same as `GET /api/transactions?accountId=…`.",
        "account",
    ),
    ("GET", f"{TRANSACTIONS}/by-key/{{key}}"): Description(
        name="getTransactionByKey",
        tag=_TAG,
        summary="What became of a key",
        text="Of the caller's own keys. A key may stand for a transfer and for initial funds: `transactions` "
        "has both.",
        access=Access.USER,
        parameters=("key",),
        answers=(
            Success(
                "What the key stands for; `unknown` when nothing was ever done with it.",
                {
                    "outcome": {"type": "string", "enum": ["unknown", "completed"]},
                    "transaction": ref("Transaction"),
                    "transactions": list_of("Transaction"),
                },
                {"outcome": "completed", "transaction": TRANSFER, "transactions": [TRANSFER]},
                optional=("transaction", "transactions"),
            ),
        ),
        refusals=(InvalidKey(),),
    ),
    ("GET", f"{TRANSACTIONS}/{{transaction}}"): Description(
        name="getTransaction",
        tag=_TAG,
        summary="Look at one transaction",
        text="One the caller has a part in; system users, operators and auditors see all. `related` has the "
        "captures, voids, extensions, expiries and reversals that are about it.",
        access=Access.USER,
        parameters=("transaction",),
        answers=(
            Success(
                "The transaction as the caller sees it.",
                {"transaction": ref("SeenTransaction")},
                {"transaction": SEEN_TRANSFER},
            ),
        ),
        refusals=(InvalidId("transactionId"), NotFound("Transaction not found")),
    ),
}
