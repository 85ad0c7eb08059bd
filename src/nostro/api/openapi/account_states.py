"""What is said about the status of accounts and about their audit trail."""

from typing import Final

from nostro.api.account_states import VERBS
from nostro.api.openapi.accounts import NO_ID, PAGE_FIELDS, PAGE_RULE, TAG
from nostro.api.openapi.description import Access, Body, Description, Descriptions, Success
from nostro.api.openapi.fields import NAME, TEXT, list_of, ref
from nostro.api.openapi.samples import FROZEN_ACCOUNT, FROZEN_EVENT
from nostro.api.paths import ACCOUNTS
from nostro.domain.account import AccountStatus
from nostro.domain.errors import (
    InvalidField,
    MissingField,
    NotOperator,
    StatusConflict,
    UnknownAccount,
)

_EXAMPLE: Final = {"reason": "Card reported stolen"}
_CHANGED = Success(
    "Changed.",
    {"message": TEXT, "account": ref("Account")},
    {"message": "Account status changed", "account": FROZEN_ACCOUNT},
)
_REFUSALS = (
    NO_ID,
    MissingField("reason"),
    InvalidField("reason", "must be one line of 1 to 200 printable characters"),
    UnknownAccount(),
    NotOperator(),
    StatusConflict("An account that is CLOSED cannot become ACTIVE"),
)

_VERBS: dict[str, tuple[str, str]] = {
    "activate": (
        "Let an account pay and receive again",
        "The owner may if it is INACTIVE, else operators.",
    ),
    "reopen": ("Let an account pay and receive again", "Another word for `activate`."),
    "deactivate": (
        "Let an account rest",
        "INACTIVE: it neither pays nor receives. The owner may.",
    ),
    "freeze": ("Freeze an account", "FROZEN: it does not pay. Operators may."),
    "suspend": ("Suspend an account", "Another word for `freeze`."),
    "block": ("Block an account", "BLOCKED, for fraud or by order of a court. Operators may."),
    "close": (
        "Close an account for ever",
        "CLOSED, once nothing is in it or held. The owner may.",
    ),
}


def _verb(verb: str) -> Description:
    summary, text = _VERBS[verb]
    return Description(
        name=f"{verb}Account",
        tag=TAG,
        summary=summary,
        text=text,
        access=Access.USER,
        parameters=("account",),
        body=Body({"reason": NAME}, ("reason",), {verb: _EXAMPLE}),
        answers=(_CHANGED,),
        refusals=_REFUSALS,
    )


DESCRIPTIONS: Descriptions = {
    ("POST", f"{ACCOUNTS}/{{account}}/status"): Description(
        name="changeAccountStatus",
        tag=TAG,
        summary="Freeze, block, close or reactivate an account",
        text="Once this has answered, no later transfer goes against the new status. Owners may set their "
        "accounts INACTIVE, ACTIVE and CLOSED (once nothing is in them); the rest takes an operator. The "
        "status is accepted in any case, and SUSPENDED is another word for FROZEN.",
        access=Access.USER,
        parameters=("account",),
        body=Body(
            {
                "status": {"type": "string", "enum": [*(s.value for s in AccountStatus), "SUSPENDED"]},
                "reason": NAME,
            },
            ("status", "reason"),
            {"freeze": {"status": "FROZEN"} | _EXAMPLE},
        ),
        answers=(_CHANGED,),
        refusals=(
            *_REFUSALS,
            InvalidField("status", "must be one of ACTIVE, INACTIVE, FROZEN, BLOCKED, CLOSED"),
        ),
    ),
    **{("POST", f"{ACCOUNTS}/{{account}}/{verb}"): _verb(verb) for verb in VERBS},
    ("GET", f"{ACCOUNTS}/{{account}}/events"): Description(
        name="listAccountEvents",
        tag=TAG,
        summary="What was changed about an account, by whom and why",
        text="Its opening, every change of status, limits and details, newest first. The owner sees what "
        "changed; who of the staff did it, and why, only system users, operators and auditors see.",
        access=Access.USER,
        parameters=("account", "limit", "skip"),
        answers=(
            Success(
                "One page.",
                {"events": list_of("AccountEvent")} | PAGE_FIELDS,
                {"events": [FROZEN_EVENT], "limit": 50, "skip": 0},
            ),
        ),
        refusals=(NO_ID, PAGE_RULE, UnknownAccount()),
    ),
}
