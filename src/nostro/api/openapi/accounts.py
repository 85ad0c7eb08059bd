"""What is said about accounts."""

from typing import Final

from nostro.api.dialects import Dialect
from nostro.api.openapi.description import Access, Body, Description, Descriptions, Json, Success
from nostro.api.openapi.fields import (
    COUNT,
    CURRENCY,
    DESCRIPTION,
    METADATA,
    OPTIONAL_CURRENCY,
    OPTIONAL_NAME,
    REFERENCE,
    list_of,
    ref,
)
from nostro.api.openapi.samples import (
    ANN,
    ANN_ACCOUNT,
    ANN_ACCOUNT_ID,
    DESCRIBED_ACCOUNT,
    NEW_ACCOUNT,
)
from nostro.api.paths import ACCOUNTS
from nostro.domain.errors import (
    InvalidField,
    InvalidId,
    NostroError,
    NotFound,
    StatusConflict,
    UnknownAccount,
    UnknownCurrency,
)

TAG: Final = "Accounts"
_LIST: Json = {"accounts": list_of("Account")}
_LISTED: Json = {"accounts": [ANN_ACCOUNT]}
NO_ID = InvalidId("accountId")
PAGE_RULE = InvalidField("limit", "must be a whole number from 1 to 200")
PAGE_FIELDS: Json = {"limit": COUNT, "skip": COUNT}


_DETAILS: Json = {
    "name": OPTIONAL_NAME,
    "description": DESCRIPTION,
    "reference": REFERENCE,
    "metadata": METADATA,
}
_DETAIL_RULES = (
    InvalidField("name", "must be one line of 1 to 200 printable characters"),
    InvalidField("metadata", "must be a JSON object"),
)
_SEARCH_RULE = InvalidField("reference", "must be one line of at most 140 printable characters")
_SEARCH = ("reference", "metadata", "text")


def _without_an_account(dialect: Dialect) -> tuple[NostroError, ...]:
    status, message = dialect.answer("no_account_yet")
    return (NotFound(message.format(name=ANN["name"])),) if status >= 400 else ()


DESCRIPTIONS: Descriptions = {
    ("POST", ACCOUNTS): Description(
        name="openAccount",
        tag=TAG,
        summary="Open an account",
        text="Without a body it is in the house currency. A system user's account is its settlement account, "
        "one per currency. Also at `/api/accounts/create`, `/accounts` and `/api/account`.",
        access=Access.USER,
        body=Body(
            {"currency": OPTIONAL_CURRENCY} | _DETAILS,
            (),
            {
                "plain": {},
                "named": {"currency": "INR", "name": "Rent", "reference": "FLAT-12", "metadata": {"rooms": 2}},
            },
            optional=True,
        ),
        answers=(
            Success(
                "Opened, with nothing in it.",
                {"account": ref("Account")},
                {"account": NEW_ACCOUNT},
                "account_opened",
                links=("balance", "account", "status"),
            ),
        ),
        refusals=(
            *_DETAIL_RULES,
            UnknownCurrency(),
            StatusConflict("The system user has its settlement account in INR already"),
        ),
    ),
    ("GET", ACCOUNTS): Description(
        name="listAccounts",
        tag=TAG,
        summary="List my accounts",
        text="In order of opening, each with its balance. Also at `/accounts` and `/api/account`.",
        access=Access.USER,
        parameters=_SEARCH,
        answers=(Success("The caller's accounts.", _LIST, _LISTED),),
        refusals=(_SEARCH_RULE,),
        in_dialect=_without_an_account,
    ),
    ("GET", f"{ACCOUNTS}/all"): Description(
        name="listAllAccounts",
        tag=TAG,
        summary="List everybody's accounts (system users, operators and auditors only)",
        text="In pages, in order of opening.",
        access=Access.SYSTEM,
        parameters=("limit", "skip", *_SEARCH),
        answers=(Success("One page.", _LIST | PAGE_FIELDS, _LISTED | {"limit": 50, "skip": 0}),),
        refusals=(PAGE_RULE,),
    ),
    ("GET", f"{ACCOUNTS}/balance/{{account}}"): Description(
        name="getBalance",
        tag=TAG,
        summary="What is in my account",
        text="An account that is not the caller's gets the answer of one that does not exist. With "
        "`effectiveAt` or `knownAt`: what it was then, as far as was known then; operators and auditors may "
        "ask that of every account. Also at `/api/accounts/{account}/balance`.",
        access=Access.USER,
        parameters=("account", "effectiveAt", "knownAt"),
        words="balance",
        answers=(
            Success(
                "The balance, and what of it is available.",
                {
                    "accountId": ref("Id"),
                    "account": ref("Id"),
                    "balance": ref("SignedAmount"),
                    "available": ref("SignedAmount") | {"description": "Of the balance as it is now."},
                    "currency": CURRENCY,
                    "effectiveAt": ref("Timestamp"),
                    "knownAt": ref("Timestamp"),
                },
                {
                    "accountId": ANN_ACCOUNT_ID,
                    "account": ANN_ACCOUNT_ID,
                    "balance": 89.5,
                    "available": 89.5,
                    "currency": "INR",
                },
                optional=("available", "effectiveAt", "knownAt"),
            ),
        ),
        refusals=(
            NO_ID,
            InvalidField("knownAt", "must be a moment with its offset, such as 2026-11-20T12:00:00Z"),
            UnknownAccount(),
        ),
    ),
    ("GET", f"{ACCOUNTS}/by-email/{{email}}"): Description(
        name="listAccountsByEmail",
        tag=TAG,
        summary="Whose accounts are these (system users only)",
        text="The user of an e-mail address (any case) and their accounts.",
        access=Access.SYSTEM,
        parameters=("email",),
        answers=(
            Success("The user and the accounts.", {"user": ref("User")} | _LIST, {"user": ANN} | _LISTED),
        ),
        refusals=(InvalidField("email", "must be an e-mail address"), NotFound("User not found")),
    ),
    ("GET", f"{ACCOUNTS}/user/{{user}}"): Description(
        name="listAccountsOfUser",
        tag=TAG,
        summary="List my accounts, by my user id",
        text="Another user's id gets the answer of an account that does not exist.",
        access=Access.USER,
        parameters=("user",),
        answers=(Success("The caller's accounts.", _LIST, _LISTED),),
        refusals=(InvalidId("userId"), UnknownAccount()),
    ),
    ("GET", f"{ACCOUNTS}/{{account}}"): Description(
        name="getAccount",
        tag=TAG,
        summary="Look at one account",
        text="The caller's own; system users, operators and auditors see every account.",
        access=Access.USER,
        parameters=("account",),
        answers=(Success("The account.", {"account": ref("Account")}, {"account": ANN_ACCOUNT}),),
        refusals=(NO_ID, UnknownAccount()),
    ),
    ("PATCH", f"{ACCOUNTS}/{{account}}"): Description(
        name="changeAccountDetails",
        tag=TAG,
        summary="Change what is said of an account",
        text="What is absent stays as it is, null takes it away; metadata is replaced as a whole. For the "
        "owner and operators.",
        access=Access.USER,
        parameters=("account",),
        body=Body(
            _DETAILS,
            (),
            {"name": {"name": "Rent", "reference": "FLAT-12"}, "forget": {"metadata": None}},
            optional=True,
        ),
        answers=(
            Success("The account as it is now.", {"account": ref("Account")}, {"account": DESCRIBED_ACCOUNT}),
        ),
        refusals=(NO_ID, *_DETAIL_RULES, UnknownAccount()),
    ),
}
