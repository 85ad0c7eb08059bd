"""What is said about moving money, and about what was moved."""

from typing import Final

from nostro.api.bulk import MOST_TOGETHER, MOST_TRANSFERS
from nostro.api.openapi.accounts import PAGE_FIELDS, PAGE_RULE
from nostro.api.openapi.description import Access, Body, Description, Descriptions, Json, Success
from nostro.api.openapi.samples import ANN_ACCOUNT_ID, BOB_ACCOUNT_ID, FUNDS, SEEN_TRANSFER, TRANSFER
from nostro.api.openapi.schemas import COUNT, KEY, TRANSACTION_FIELDS, list_of, ref
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
    MissingField,
    NostroError,
    NotAccountOwner,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    SameAccount,
    SystemAccountNotFound,
    UnknownAccount,
)

_TAG: Final = "Transactions"
_POSTED: Json = {"transaction": ref("Transaction")}
_REPLAYED: Json = TRANSACTION_FIELDS | _POSTED
_ONCE = (
    "Happens exactly once per `idempotencyKey` (or `Idempotency-Key` header) of the caller: repeat the request "
    "with the same key whenever the answer was lost."
)
# In the order of errors.PRECEDENCE, which the service judges by.
_ASKED: tuple[NostroError, ...] = (
    InvalidId("toAccount"),
    InvalidAmount("The currency has 2 decimal places"),
    InvalidKey(),
    SameAccount(),
    KeyConflict(conflictingFields=["amount"]),
    AccountNotFound(role="to"),
)
_MOVED: tuple[NostroError, ...] = (
    AccountNotActive(),
    CeilingExceeded(),
    AmountOverflow(),
    Overloaded(),
    OutcomeUnknown(),
)
_LIST_REFUSALS = (InvalidId("accountId"), UnknownAccount(), PAGE_RULE)
_STATUS_RULE = InvalidField("status", "must be one of PENDING, COMPLETED, FAILED, REVERSED")


def _posted(situation: str, example: Json) -> tuple[Success, Success]:
    return (
        Success(
            "Done: the money is there.",
            _POSTED,
            {"transaction": example},
            situation,
            links=("transaction",),
        ),
        Success(
            "Replayed: it was done before. The transaction's members also stand at top level.",
            _REPLAYED,
            example | {"transaction": example},
            "replayed",
            ("Idempotency-Replayed",),
            links=("transaction",),
        ),
    )


def _page(name: str, summary: str, text: str, *parameters: str) -> Description:
    return Description(
        name=name,
        tag=_TAG,
        summary=summary,
        text=text,
        access=Access.USER,
        parameters=(*parameters, "status", "limit", "skip"),
        answers=(
            Success(
                "One page, newest first.",
                {"transactions": list_of("SeenTransaction"), "total": COUNT} | PAGE_FIELDS,
                {"transactions": [SEEN_TRANSFER], "total": 1, "limit": 50, "skip": 0},
            ),
        ),
        refusals=(*_LIST_REFUSALS, _STATUS_RULE),
    )


DESCRIPTIONS: Descriptions = {
    ("POST", TRANSACTIONS): Description(
        name="transfer",
        tag=_TAG,
        summary="Send money",
        text=f"From one of the caller's accounts to any account in the same currency. {_ONCE} Also at "
        "`/api/transaction`, `/api/transactions/transfer`, `/api/transactions/create` and, in the words of "
        "ledgerflow, at `/transactions`.",
        access=Access.USER,
        parameters=("Idempotency-Key",),
        words="transfer",
        body=Body(
            {
                "fromAccount": ref("GivenId"),
                "toAccount": ref("GivenId"),
                "amount": ref("GivenAmount"),
                "idempotencyKey": KEY,
            },
            ("fromAccount", "toAccount", "amount"),
            {
                "rent": {
                    "fromAccount": ANN_ACCOUNT_ID,
                    "toAccount": BOB_ACCOUNT_ID,
                    "amount": 10.5,
                    "idempotencyKey": "rent-november",
                }
            },
        ),
        answers=_posted("transferred", TRANSFER),
        refusals=(
            MissingField("fromAccount", "idempotencyKey"),
            *_ASKED,
            NotAccountOwner(),
            CurrencyMismatch(),
            InsufficientFunds(required=5000, available=1250, currency="INR"),
            *_MOVED,
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
            *_ASKED,
            NotAccountOwner(),
            CurrencyMismatch(),
            InsufficientFunds(required=5000, available=1250, currency="INR"),
            *_MOVED,
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
        text=f"From the calling system user's settlement account in the receiver's currency. {_ONCE} Also "
        "spelt `initial-fund`, `initial_funds` and `intial-funds`, with and without `/system`.",
        access=Access.SYSTEM,
        parameters=("Idempotency-Key",),
        words="funds",
        body=Body(
            {"toAccount": ref("GivenId"), "amount": ref("GivenAmount"), "idempotencyKey": KEY},
            ("toAccount", "amount"),
            {
                "gift": {
                    "toAccount": ANN_ACCOUNT_ID,
                    "amount": "100",
                    "idempotencyKey": "opening-gift",
                }
            },
        ),
        answers=_posted("funded", FUNDS),
        refusals=(MissingField("toAccount", "amount"), *_ASKED, SystemAccountNotFound(), *_MOVED),
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
        text="One the caller has a part in; system users, operators and auditors see all.",
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
