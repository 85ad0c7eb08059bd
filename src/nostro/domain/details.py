"""What people say of an account or a transaction in their own words: description, reference and metadata.

Nothing here is understood by the ledger; it is kept, shown and found again. Metadata is written in one
canonical form (members in order, no white space, numbers as digits), so that equal metadata is equal text, and
every number keeps the digits it was given: none passes through a float (tests/unit/test_details.py).
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

from nostro.domain.errors import DuplicateField, InvalidField

# Those of an account that are given, by name (name, description, reference, metadata); None takes one away.
Details = Mapping[str, str | None]

LONGEST_DESCRIPTION = 500
LONGEST_REFERENCE = 140
# Bytes of UTF-8 in the canonical form, numbers written out: what is stored and answered is no larger.
LARGEST_METADATA = 16 * 1024
# The object itself is the first level.
DEEPEST_METADATA = 16
# Beyond the reach of an IEEE double; a larger one would make a few bytes thousands of digits.
_LARGEST_EXPONENT = 400

_NUMBER = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)(?:[eE]([+-]?[0-9]+))?", re.ASCII)


def valid_description(text: str) -> str | None:
    """Up to 500 characters, lines and tabs included, without the white space around them; None when blank."""
    plain = text.replace("\n", "").replace("\r", "").replace("\t", "")
    if len(text) > LONGEST_DESCRIPTION or not plain.isprintable():
        raise InvalidField("description", f"must be at most {LONGEST_DESCRIPTION} printable characters")
    return text.strip() or None


def valid_reference(text: str) -> str | None:
    """One line of up to 140 printable characters, without the white space around them; None when blank."""
    if len(text) > LONGEST_REFERENCE or not text.isprintable():
        raise InvalidField("reference", f"must be one line of at most {LONGEST_REFERENCE} printable characters")
    return text.strip() or None


class _Number(str):
    """A JSON number as it will be written."""

    __slots__ = ()


def valid_metadata(text: str) -> str:
    """The canonical form of the JSON object that `text` writes.

    Raises `InvalidField` for anything but an object, for one that is too large or too deep and for what
    cannot be stored (NUL, half a surrogate pair), `DuplicateField` for a member that stands twice.
    """
    try:
        value = json.loads(
            text,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_no_constant,
            object_pairs_hook=without_duplicates,
        )
    except (ValueError, RecursionError):
        raise InvalidField("metadata", "must be a JSON object") from None
    if not isinstance(value, dict):
        raise InvalidField("metadata", "must be a JSON object")
    written = _written(value, 1)
    if len(_utf8(written)) > LARGEST_METADATA:
        raise InvalidField("metadata", f"must be at most {LARGEST_METADATA} bytes of JSON")
    return written


def _number(text: str) -> _Number:
    """With its digits, without an exponent: 1.50e1 is 15.0."""
    match = _NUMBER.fullmatch(text)
    assert match is not None, "the parser only hands over numbers"
    digits, exponent = match.groups()
    if exponent is not None:
        if len(exponent.lstrip("+-0")) > 3 or abs(int(exponent)) > _LARGEST_EXPONENT:
            raise InvalidField("metadata", f"must not hold a number with an exponent above {_LARGEST_EXPONENT}")
        digits = format(Decimal(text), "f")
    # There is one zero: PostgreSQL's numbers know no other.
    return _Number(digits.removeprefix("-") if not digits.strip("-0.") else digits)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `object_pairs_hook`: `DuplicateField` where the decoder would keep the last of two equal names."""
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DuplicateField(f"{twice[:60]!a} stands twice in one JSON object")
    return members


def _written(value: object, depth: int) -> str:
    match value:
        case dict() | list() if depth > DEEPEST_METADATA:
            raise InvalidField("metadata", f"must not be nested deeper than {DEEPEST_METADATA} levels")
        case dict():
            members = (f"{_quoted(name)}:{_written(value[name], depth + 1)}" for name in sorted(value))
            return "{" + ",".join(members) + "}"
        case list():
            return "[" + ",".join([_written(part, depth + 1) for part in value]) + "]"
        case _Number():
            return str(value)
        case str():
            return _quoted(value)
        case _:
            return json.dumps(value)


def _quoted(text: str) -> str:
    if "\x00" in text:
        raise InvalidField("metadata", "must not contain the NUL character")
    return json.dumps(text, ensure_ascii=False)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidField("metadata", "must not contain half a surrogate pair") from None
