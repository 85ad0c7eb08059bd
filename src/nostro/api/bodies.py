"""Reading what a client sent: the body, its JSON, ids, amounts and keys. Every flaw is a 4xx with a code.

A number is kept as the text it was written in, so that an amount never passes through a float.
"""

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NoReturn

import msgspec
from starlette.requests import Request

from nostro.domain.details import without_duplicates
from nostro.domain.errors import (
    BodyTooLarge,
    InvalidAmount,
    InvalidField,
    InvalidKey,
    MalformedJson,
    MissingField,
    UnsupportedMediaType,
)
from nostro.domain.money import Amount, parse_amount
from nostro.domain.transaction import valid_key

LONGEST_BODY = 100 * 1024

Fields = dict[str, msgspec.Raw]

_decode_fields = msgspec.json.Decoder(Fields).decode
_JSON_TYPE = re.compile(r"application/(?:json|[\w.+-]+\+json)\s*(?:;|$)", re.IGNORECASE)
_NUMBER = re.compile(rb"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,17})?(?:[eE][+-]?\d{1,2})?")
_EMPTY = frozenset({b"null", b'""', b"0", b"false"})


async def read_fields(request: Request) -> Fields:
    """The members of the JSON object in the body, values undecoded; no body at all is an empty object."""
    body = await read_body(request, LONGEST_BODY)
    if not body or body.isspace():
        return {}
    require_type(request, _JSON_TYPE)
    return parse_fields(body)


def require_type(request: Request, accepted: re.Pattern[str]) -> None:
    """`UnsupportedMediaType` for a body of another type, or a compressed one; no type at all is accepted."""
    content_type = request.headers.get("content-type")
    if (content_type and not accepted.match(content_type)) or request.headers.get("content-encoding"):
        raise UnsupportedMediaType


async def read_body(request: Request, longest: int) -> bytes:
    """Raises `BodyTooLarge` as soon as more than `longest` bytes have come."""
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > longest:
            raise BodyTooLarge
        chunks.append(chunk)
    return b"".join(chunks)


def parse_fields(body: bytes) -> Fields:
    """Raises `MalformedJson`, `DuplicateField`."""
    try:
        body.decode()  # the decoder only looks at the text of the values that are asked for
        fields = _decode_fields(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedJson from None
    if not _plainly_without_duplicates(body, fields):
        _refuse_duplicates(body)
    return fields


def _plainly_without_duplicates(body: bytes, fields: Fields) -> bool:
    """True when no name can stand twice: flat, no escapes, and every quotation mark accounted for.

    The decoder keeps the last of two equal names; the one that it dropped would leave quotation marks over.
    """
    if b"\\" in body or body.count(b"{") > 1:
        return False
    marks = 2 * len(fields) + sum(bytes(value).count(b'"') for value in fields.values())
    return marks == body.count(b'"')


def _refuse_duplicates(body: bytes) -> None:
    try:
        json.loads(body, object_pairs_hook=without_duplicates, parse_int=str, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedJson from error


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)


def require(fields: Fields, *names: str) -> None:
    """Raises `MissingField` naming those that are absent or empty."""
    missing = missing_of(fields, *names)
    if missing:
        raise MissingField(*missing)


def missing_of(fields: Fields, *names: str) -> list[str]:
    """Those of `names` that are absent or empty: null, "", 0 or false, as of old."""
    return [name for name in names if bytes(fields.get(name, b"null")) in _EMPTY]


def text_of(fields: Fields, name: str) -> str:
    """A required string. Raises `MissingField`, or `InvalidField` for any other JSON type and for text that
    cannot be stored."""
    require(fields, name)
    text = optional_text_of(fields, name)
    assert text is not None, "a required field is there"
    return text


def optional_text_of(fields: Fields, name: str) -> str | None:
    """None when absent or null; else as `text_of`."""
    value = string_of(fields, name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidField(name, "must be a string")
    if "\x00" in value:
        raise InvalidField(name, "must not contain the NUL character")
    return value


def string_of(fields: Fields, name: str) -> object:
    """The field decoded if it is a JSON string, else the undecoded value (None when absent or null)."""
    raw = bytes(fields.get(name, b"null"))
    if raw == b"null":
        return None
    if raw[:1] != b'"':
        return raw
    try:
        value = msgspec.json.decode(raw, type=str)
        value.encode("utf-8")
    except (msgspec.DecodeError, UnicodeError):
        raise MalformedJson from None
    return value


def number_text_of(fields: Fields, name: str) -> str | None:
    """What is written for a number, bare or as a string, unjudged; None when absent or null."""
    said = string_of(fields, name)
    return said.decode("ascii", "replace") if isinstance(said, bytes) else None if said is None else str(said)


def whole(raw: bytes) -> int | None:
    """The whole number that a JSON value writes: 7, 7.0 and 70e-1 are one. None if it is not one, or is longer
    than any that is asked for here."""
    value = Decimal(raw.decode()) if _NUMBER.fullmatch(raw) else None
    return int(value) if value is not None and value == value.to_integral_value() else None


def whole_number_of(fields: Fields, name: str, least: int, most: int) -> int | None:
    """None when absent or null; raises `InvalidField`."""
    raw = bytes(fields.get(name, b"null"))
    if raw == b"null":
        return None
    number = whole(raw)
    if number is None or not least <= number <= most:
        raise InvalidField(name, f"must be a whole number from {least} to {most}")
    return number


def amount_of(fields: Fields, name: str = "amount") -> Amount:
    """A JSON number, or a string that writes one. Absent or "" is `MissingField`, the rest `InvalidAmount`."""
    raw = bytes(fields.get(name, b'""'))
    if raw == b'""':
        raise MissingField(name)
    if raw[:1] == b'"':
        text = string_of(fields, name)
        if not isinstance(text, str):
            raise InvalidAmount
        return parse_amount(text)
    if raw in _EMPTY:
        # To a client of the five systems a blank amount is a missing one, in words; the code says more.
        raise InvalidAmount("The amount must be greater than zero", blank=True)
    return parse_amount(raw.decode("ascii", "replace"))


def key_of(fields: Fields, header_keys: Sequence[str] = ()) -> str:
    """The idempotency key: `idempotencyKey` in the body, or what `header_keys` found.

    Raises `MissingField` when there is neither, `InvalidKey` for a bad one and for two that differ.
    """
    given: set[object] = {key for key in header_keys if key}
    if not missing_of(fields, "idempotencyKey"):
        given.add(string_of(fields, "idempotencyKey"))
    if not given:
        raise MissingField("idempotencyKey")
    if len(given) > 1:
        raise InvalidKey("The Idempotency-Key header and idempotencyKey in the body differ")
    return valid_key(given.pop())


def header_keys(request: Request) -> list[str]:
    """What the `Idempotency-Key` header says, quoted or bare."""
    return [_unquoted(header) for header in request.headers.getlist("idempotency-key")]


def _unquoted(header: str) -> str:
    quoted = len(header) >= 2 and header[0] == header[-1] == '"'
    return header[1:-1] if quoted else header
