"""What a list is to be narrowed to: `reference`, `metadata[name]=value` and `text` of the query string."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import product

from starlette.requests import Request

from nostro.domain.details import valid_metadata, valid_reference
from nostro.domain.errors import InvalidField
from nostro.ledger.users import valid_name
from nostro.store.accounts import Wanted

# Each doubles what is asked of the index: a value in a query string may mean a text or a number.
MOST_MEMBERS = 4

_MEMBER = re.compile(r"metadata\[(.*)\]", re.DOTALL)
_SCALAR = re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?|true|false|null", re.ASCII)


def wanted_of(request: Request) -> Wanted:
    """Raises `InvalidField`. A parameter that is there and empty asks for nothing."""
    text = request.query_params.get("text")
    return Wanted(
        reference=valid_reference(request.query_params.get("reference", "")),
        metadata=metadata_wanted(request.query_params.multi_items()),
        text=valid_name(text, "text") if text else None,
    )


def metadata_wanted(parameters: Iterable[tuple[str, str]]) -> list[str] | None:
    """The JSON objects of which one must be held: each value as a text, and as the number or word it writes."""
    given = list(_members(parameters))
    if not given:
        return None
    if len(given) > MOST_MEMBERS or len({name for name, _ in given}) < len(given):
        raise InvalidField("metadata", f"may be asked for by up to {MOST_MEMBERS} members, each of them once")
    choices = [[f"{json.dumps(name)}:{meant}" for meant in _meanings(value)] for name, value in given]
    return [valid_metadata("{" + ",".join(members) + "}") for members in product(*choices)]


def _members(parameters: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for parameter, value in parameters:
        match = _MEMBER.fullmatch(parameter)
        if match:
            yield match[1], value


def _meanings(value: str) -> list[str]:
    return [json.dumps(value), *([value] if _SCALAR.fullmatch(value) else [])]
