"""What is said about currencies and exchange rates."""

from typing import Final

from nostro.api.openapi.description import Access, Body, Description, Descriptions, Json, Success
from nostro.api.openapi.fields import NAME, list_of, ref
from nostro.api.openapi.samples import POINTS, RUPEES_TO_DOLLARS
from nostro.domain.errors import (
    CurrencyTaken,
    InvalidField,
    MissingField,
    NotFound,
    NotOperator,
    RateTaken,
    SystemAccountNotFound,
    UnknownCurrency,
)
from nostro.ledger.currencies import MOST_PLACES

_TAG: Final = "Currencies"
_RATE: Json = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 10**12},
        {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$"},
    ],
    "description": "Units of `quote` for one of `base`: above zero, with up to 12 places, taken exactly.",
}

DESCRIPTIONS: Descriptions = {
    ("GET", "/api/currencies"): Description(
        name="listCurrencies",
        tag=_TAG,
        summary="What accounts may be opened in",
        text="The currencies of ISO 4217 that have decimal places, and the assets registered here, by code.",
        access=Access.USER,
        answers=(Success("All of them.", {"currencies": list_of("Currency")}, {"currencies": [POINTS]}),),
    ),
    ("POST", "/api/currencies"): Description(
        name="registerCurrency",
        tag=_TAG,
        summary="Register an asset (system users and operators only)",
        text="What ISO 4217 does not know: points, tokens, kilowatt-hours. Its places are fixed for ever.",
        access=Access.USER,
        body=Body(
            {
                "code": {
                    "type": "string",
                    "pattern": r"^\s*[A-Za-z][A-Za-z0-9]{2,11}\s*$",
                    "description": "Upper-cased; not a code of ISO 4217.",
                },
                "exponent": {"type": "integer", "minimum": 0, "maximum": MOST_PLACES},
                "name": NAME,
            },
            ("code", "exponent", "name"),
            {"points": {"code": "POINTS", "exponent": 0, "name": "Loyalty points"}},
        ),
        answers=(Success("Registered.", {"currency": ref("Currency")}, {"currency": POINTS}),),
        refusals=(
            MissingField("name"),
            InvalidField("exponent", f"must be a whole number from 0 to {MOST_PLACES}"),
            NotOperator("Only an operator or a system user may do this"),
            CurrencyTaken("There is a currency called POINTS already"),
        ),
    ),
    ("GET", "/api/rates"): Description(
        name="listRates",
        tag=_TAG,
        summary="At which rates one can exchange",
        text="By the two codes.",
        access=Access.USER,
        answers=(Success("All rates in force.", {"rates": list_of("Rate")}, {"rates": [RUPEES_TO_DOLLARS]}),),
    ),
    ("GET", "/api/rates/{base}/{quote}"): Description(
        name="getRate",
        tag=_TAG,
        summary="At which rate one can exchange two currencies",
        text="There is no rate that was not set: neither the inverse of another nor 1.",
        access=Access.USER,
        parameters=("base", "quote"),
        answers=(Success("The rate in force.", {"rate": ref("Rate")}, {"rate": RUPEES_TO_DOLLARS}),),
        refusals=(UnknownCurrency(), NotFound("Nobody exchanges between these two currencies")),
    ),
    ("PUT", "/api/rates/{base}/{quote}"): Description(
        name="setRate",
        tag=_TAG,
        summary="Exchange at a rate (system users only)",
        text="From now on the caller gives `rate` units of `quote` for one of `base`, from its settlement "
        "accounts in both. No exchange that is decided after this was answered uses an older rate. A pair "
        "belongs to the system user who set it first.",
        access=Access.SYSTEM,
        parameters=("base", "quote"),
        body=Body({"rate": _RATE}, ("rate",), {"rate": {"rate": "0.0119"}}),
        answers=(Success("The rate in force.", {"rate": ref("Rate")}, {"rate": RUPEES_TO_DOLLARS}),),
        refusals=(
            MissingField("rate"),
            InvalidField("rate", "must be a positive decimal number with at most 12 places"),
            UnknownCurrency(),
            SystemAccountNotFound("The system user has no settlement account in USD"),
            RateTaken(),
        ),
    ),
}
