"""What is said about what an account may have and pay."""

from nostro.api.openapi.accounts import NO_ID, TAG
from nostro.api.openapi.description import Access, Body, Description, Descriptions, Success
from nostro.api.openapi.fields import CURRENCY, ref
from nostro.api.openapi.samples import LIMITS
from nostro.api.openapi.schemas import GIVEN_LIMITS
from nostro.api.paths import ACCOUNTS
from nostro.domain.errors import (
    InvalidAmount,
    InvalidField,
    LimitConflict,
    MissingField,
    NotOperator,
    UnknownAccount,
)

_PATH = f"{ACCOUNTS}/{{account}}/limits"
_ANSWER = Success(
    "The limits, and what is used of them. `usage` is null while nothing is counted.",
    {
        "accountId": ref("Id"),
        "currency": CURRENCY,
        "limits": ref("Limits"),
        "usage": {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {name: ref("LimitUsage") for name in ("hourly", "daily", "monthly")},
                    "required": ["hourly", "daily", "monthly"],
                },
                {"type": "null"},
            ]
        },
    },
    LIMITS,
)
_REFUSALS = (
    NO_ID,
    MissingField("reason"),
    InvalidAmount(field="daily"),
    InvalidField("hourly", "must be a whole number from 0 to 999999999"),
    UnknownAccount(),
    NotOperator(),
    LimitConflict(
        "The ceiling is below the balance", field="ceiling", balance=8950, currency="INR", exponent=2
    ),
)


def _setting(name: str, summary: str, text: str) -> Description:
    return Description(
        name=name,
        tag=TAG,
        summary=summary,
        text=text,
        access=Access.USER,
        parameters=("account",),
        body=Body(
            GIVEN_LIMITS,
            ("reason",),
            {"limits": {"floor": -500, "daily": 2000, "hourly": 20, "reason": "Agreed by letter"}},
        ),
        answers=(_ANSWER,),
        refusals=_REFUSALS,
    )


DESCRIPTIONS: Descriptions = {
    ("GET", _PATH): Description(
        name="getLimits",
        tag=TAG,
        summary="What an account may have and pay",
        text="For the owner, system users, operators and auditors.",
        access=Access.USER,
        parameters=("account",),
        answers=(_ANSWER,),
        refusals=(NO_ID, UnknownAccount()),
    ),
    ("PUT", _PATH): _setting(
        "replaceLimits",
        "Set all limits of an account (operators only)",
        "What is absent or null is removed. Once this has answered, no later transaction goes against the new "
        "limits; what was spent before in the hour, day and month counts.",
    ),
    ("PATCH", _PATH): _setting(
        "changeLimits",
        "Set some limits of an account (operators only)",
        "As with `PUT`, but what is absent stays as it is.",
    ),
}
