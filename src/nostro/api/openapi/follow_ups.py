"""What is said about holds, reversals and exchanges."""

from typing import Final

from nostro.api.openapi.description import Access, Body, Description, Descriptions, Json
from nostro.api.openapi.fields import DESCRIPTION, EXPIRES_IN, KEY, ref
from nostro.api.openapi.samples import (
    ANN_ACCOUNT_ID,
    CAPTURE,
    DOLLAR_ACCOUNT_ID,
    EXCHANGED,
    EXTENSION,
    REVERSAL,
    VOID,
)
from nostro.api.openapi.terms import FOLLOW_UP, MORE_TERMS
from nostro.api.openapi.transactions import ASKED, JUDGED, MOVED, ONCE, posted
from nostro.api.paths import EXCHANGE, TRANSACTIONS
from nostro.domain.errors import (
    AccountNotActive,
    AlreadyCaptured,
    AlreadyReversed,
    AlreadyVoided,
    CurrencyMismatch,
    ExceedsHeldAmount,
    ExceedsReversibleAmount,
    HoldExpired,
    InsufficientFunds,
    InvalidAmount,
    InvalidField,
    InvalidId,
    InvalidKey,
    KeyConflict,
    MissingField,
    NostroError,
    NotAccountOwner,
    NotAHold,
    NotFound,
    NotOperator,
    NotReceiver,
    NotReversible,
    RateChanged,
    RateNotFound,
    SystemAccountNotFound,
)

_TAG: Final = "Transactions"
_FOUND: tuple[NostroError, ...] = (
    InvalidId("transactionId"),
    InvalidKey(),
    InvalidField("dryRun", "must be true or false"),
    NotFound("Transaction not found"),
    KeyConflict(conflictingFields=["amount"]),
)
_HELD = (NotAHold(), AlreadyCaptured(), AlreadyVoided(), HoldExpired())
_AMOUNT: Json = {
    "anyOf": [ref("GivenAmount"), {"type": "null"}],
    "description": "All that is left unless given.",
}
_KEPT_APART = "Without an `idempotencyKey` every request is one of its own: send one to repeat safely."


def _about(
    name: str,
    summary: str,
    text: str,
    situation: str,
    example: Json,
    body: Body,
    refusals: tuple[NostroError, ...],
) -> Description:
    return Description(
        name=name,
        tag=_TAG,
        summary=summary,
        text=f"{text} {_KEPT_APART}",
        access=Access.USER,
        parameters=("transaction", "Idempotency-Key"),
        words="transfer",
        body=body,
        answers=posted(situation, example, "Done."),
        refusals=(*_FOUND, *refusals),
    )


DESCRIPTIONS: Descriptions = {
    ("POST", EXCHANGE): Description(
        name="exchange",
        tag=_TAG,
        summary="Exchange money into another currency",
        text="At the rate a system user has set (`GET /api/rates`), through its settlement accounts: two "
        "balanced halves in one transaction, with the rate on record. What arrives is rounded down. "
        f"{ONCE}",
        access=Access.USER,
        parameters=("Idempotency-Key",),
        words="transfer",
        body=Body(
            {
                "fromAccount": ref("GivenId"),
                "toAccount": ref("GivenId"),
                "amount": ref("GivenAmount") | {"description": "In the currency of fromAccount."},
                "idempotencyKey": KEY,
                "rate": {
                    "anyOf": [
                        {"type": "number", "exclusiveMinimum": 0},
                        {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$"},
                        {"type": "null"},
                    ],
                    "description": "Only at this rate.",
                },
                **MORE_TERMS,
            },
            ("fromAccount", "toAccount", "amount"),
            {
                "dollars": {
                    "fromAccount": ANN_ACCOUNT_ID,
                    "toAccount": DOLLAR_ACCOUNT_ID,
                    "amount": 1000,
                    "rate": "0.0119",
                    "idempotencyKey": "dollars-november",
                }
            },
        ),
        answers=posted("exchanged", EXCHANGED),
        refusals=(
            MissingField("fromAccount", "idempotencyKey"),
            InvalidField("hold", "has no meaning here"),
            *ASKED,
            NotAccountOwner(),
            CurrencyMismatch("An exchange is between two currencies; this would be a transfer"),
            RateNotFound(),
            RateChanged(rate="0.0121"),
            SystemAccountNotFound(),
            AccountNotActive(),
            *JUDGED,
            InsufficientFunds(required=5000, available=1250, currency="INR", exponent=2),
            *MOVED,
        ),
    ),
    ("POST", f"{TRANSACTIONS}/{{transaction}}/capture"): _about(
        "captureHold",
        "Capture a hold",
        "Moves all or part of what is held, several times until nothing is left; never refused for lack of "
        "money. `final` lets the rest go. By the payer, the receiver or an operator.",
        "captured",
        CAPTURE,
        Body(
            {"amount": _AMOUNT, "final": {"type": ["boolean", "null"]}, **FOLLOW_UP},
            (),
            {"the last part": {"amount": 20, "final": True, "idempotencyKey": "capture-1"}},
            optional=True,
        ),
        (
            InvalidAmount("The currency has 2 decimal places"),
            *_HELD,
            ExceedsHeldAmount(held=3000, currency="INR", exponent=2),
            AccountNotActive(),
            *MOVED,
        ),
    ),
    ("POST", f"{TRANSACTIONS}/{{transaction}}/void"): _about(
        "voidHold",
        "Void a hold",
        "Lets go what is left of it. By the payer, the receiver or an operator.",
        "voided",
        VOID,
        Body(FOLLOW_UP, (), {"void": {"idempotencyKey": "void-1"}}, optional=True),
        (*_HELD, *MOVED),
    ),
    ("POST", f"{TRANSACTIONS}/{{transaction}}/extend"): _about(
        "extendHold",
        "Let a hold expire at another time",
        "`expiresIn` seconds from now. By the payer or an operator.",
        "extended",
        EXTENSION,
        Body(
            {"expiresIn": EXPIRES_IN, **FOLLOW_UP},
            ("expiresIn",),
            {"another week": {"expiresIn": 604800, "idempotencyKey": "extend-1"}},
        ),
        (
            MissingField("expiresIn"),
            NotAccountOwner("Only the payer or an operator may extend a hold"),
            *_HELD,
            *MOVED,
        ),
    ),
    ("POST", f"{TRANSACTIONS}/{{transaction}}/reverse"): _about(
        "reverseTransaction",
        "Let a movement flow back",
        "All of it or a part, several times until nothing is left. By who received it (a refund) or an "
        "operator, never by the sender alone; an operator may `force` it when the receiver has spent the "
        "money, which gives that account an overdraft. A reversal cannot be reversed.",
        "reversed",
        REVERSAL,
        Body(
            {
                "amount": _AMOUNT,
                "reason": DESCRIPTION | {"description": "Kept as the description."},
                "force": {"type": ["boolean", "null"]},
                **FOLLOW_UP,
            },
            (),
            {"a refund": {"amount": 5, "reason": "The heating was cold", "idempotencyKey": "refund-1"}},
            optional=True,
        ),
        (
            InvalidAmount("The currency has 2 decimal places"),
            NotOperator(),
            NotReceiver(),
            NotReversible(),
            AlreadyReversed(),
            ExceedsReversibleAmount(reversible=1050, currency="INR", exponent=2),
            AccountNotActive(),
            InsufficientFunds(required=5000, available=1250, currency="INR", exponent=2),
            *MOVED,
        ),
    ),
}
