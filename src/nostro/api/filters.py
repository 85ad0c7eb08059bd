"""Filters of a list, read from a query. Every flaw is a 400 that names the parameter."""

from collections.abc import Callable
from enum import Enum
from typing import TypeVar
from zoneinfo import ZoneInfo

from nostro.api.cursors import Query
from nostro.api.searching import metadata_wanted
from nostro.domain.details import valid_reference
from nostro.domain.errors import InvalidAmount, InvalidField, MissingField
from nostro.domain.history import Filters
from nostro.domain.ids import parse_id
from nostro.domain.moments import parse_bound
from nostro.domain.money import Amount, parse_amount
from nostro.domain.transaction import Direction, Kind, TransactionStatus
from nostro.ledger.calendar import Period, period_of, since_of, until_of, zone_of
from nostro.ledger.users import valid_name

FILTERS = (
    "from",
    "to",
    "tz",
    "direction",
    "counterparty",
    "amount",
    "minAmount",
    "maxAmount",
    "kind",
    "status",
    "reference",
    "text",
    "metadata",
)

Word = TypeVar("Word", bound=Enum)
Value = TypeVar("Value")


def filters_of(query: Query) -> Filters:
    """`amount` is both bounds at once. Raises `InvalidField`, `InvalidAmount`, `InvalidId`."""
    zone = zone_of(query.get("tz"))
    exact = _amount(query, "amount")
    return Filters(
        since=_read(query, "from", lambda text: since_of(parse_bound(text, "from"), zone)),
        until=_read(query, "to", lambda text: until_of(parse_bound(text, "to"), zone)),
        direction=_read(query, "direction", lambda text: word_of(text, "direction", Direction)),
        counterparty=_read(query, "counterparty", lambda text: parse_id(text, "counterparty")),
        least=exact or _amount(query, "minAmount"),
        most=exact or _amount(query, "maxAmount"),
        kind=_read(query, "kind", lambda text: word_of(text, "kind", Kind)),
        status=_read(query, "status", lambda text: word_of(text, "status", TransactionStatus)),
        reference=_read(query, "reference", valid_reference),
        text=_read(query, "text", lambda text: valid_name(text, "text")),
        metadata=metadata_wanted(query.items()),
    )


def period_asked(query: Query) -> tuple[Period, ZoneInfo]:
    """`from` and `to`, both required, and the time zone in which their dates are days."""
    zone = zone_of(query.get("tz"))
    missing = [name for name in ("from", "to") if name not in query]
    if missing:
        raise MissingField(*missing)
    return period_of(parse_bound(query["from"], "from"), parse_bound(query["to"], "to"), zone), zone


def word_of(text: str, name: str, words: type[Word]) -> Word:
    """The member of `words` that `text` names, in any case."""
    for word in words:
        if str(word.value).upper() == text.upper():
            return word
    raise InvalidField(name, f"must be one of {', '.join(str(word.value) for word in words)}")


def _read(query: Query, name: str, parse: Callable[[str], Value]) -> Value | None:
    return parse(query[name]) if name in query else None


def _amount(query: Query, name: str) -> Amount | None:
    try:
        return _read(query, name, parse_amount)
    except InvalidAmount as error:
        raise InvalidAmount(f"{name}: {error.detail}", field=name) from None
