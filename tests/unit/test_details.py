"""Metadata in its one form, and what is refused in it; descriptions and references."""

import json

import pytest

from nostro.domain.details import (
    LARGEST_METADATA,
    valid_description,
    valid_metadata,
    valid_reference,
)
from nostro.domain.errors import DuplicateField, InvalidField

WRITTEN = [
    ("{}", "{}"),
    ('{"b": 1, "a": [true, false, null]}', '{"a":[true,false,null],"b":1}'),
    ('{"price": 1.10}', '{"price":1.10}'),
    ('{"n": 12345678901234567890123.000}', '{"n":12345678901234567890123.000}'),
    ('{"n": 1.50e1, "m": 25e-3, "o": 1E+2}', '{"m":0.025,"n":15.0,"o":100}'),
    ('{"n": -0, "m": -0.0, "o": -0e5, "p": -0.5}', '{"m":0.0,"n":0,"o":0,"p":-0.5}'),
    ('{"text": "\\u0041 \\"quoted\\" é 😀 \\n"}', '{"text":"A \\"quoted\\" é 😀 \\n"}'),
    ('{"": {"": ""}}', '{"":{"":""}}'),
]


@pytest.mark.parametrize(("given", "written"), WRITTEN)
def test_metadata_has_one_form_that_keeps_every_digit(given: str, written: str) -> None:
    assert valid_metadata(given) == written
    assert valid_metadata(written) == written


REFUSED = [
    *("null", "[]", '"text"', "1", "true", "", "{", '{"a":1}{', "{'a': 1}", '{"a": NaN}', '{"a": -Infinity}'),
    *('{"a": 01}', '{"a": "\t"}', '{"a": "\\u0000"}', '{"\\u0000": 1}', '{"a": "\\ud800"}', '{"\\udfff": 1}'),
    *('{"a": 1e401}', '{"a": 1e-401}', '{"a": 1e99999999999999999999}'),
    '{"a":' * 17 + "1" + "}" * 17,
    '{"a":' + "[" * 16 + "]" * 16 + "}",
    "[" * 100_000,
    json.dumps({"a": "x" * (LARGEST_METADATA - 7)}, separators=(",", ":")),
    '{"a": "' + "é" * (LARGEST_METADATA // 2) + '"}',
    '{"a": [' + ",".join(["1e400"] * 50) + "]}",
]


@pytest.mark.parametrize("given", REFUSED, ids=lambda text: text[:24])
def test_what_is_no_small_object_is_refused(given: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        valid_metadata(given)
    assert refusal.value.facts == {"field": "metadata"}


def test_metadata_may_be_as_large_and_as_deep_as_is_said() -> None:
    largest = json.dumps({"a": "x" * (LARGEST_METADATA - 8)}, separators=(",", ":"))
    assert valid_metadata(largest) == largest
    deepest = '{"a":' * 16 + "1" + "}" * 16
    assert valid_metadata(deepest) == deepest


def test_a_member_that_stands_twice_is_refused_at_any_depth() -> None:
    with pytest.raises(DuplicateField):
        valid_metadata('{"a": [{"b": 1, "\\u0062": 2}]}')


@pytest.mark.parametrize(
    ("given", "kept"), [(" rent \n", "rent"), ("two\nlines\tand a tab", "two\nlines\tand a tab"), (" ", None)]
)
def test_a_description_may_have_lines(given: str, kept: str | None) -> None:
    assert valid_description(given) == kept


@pytest.mark.parametrize("given", ["x" * 501, "\x00", "a\x1bb", "a\u202eb"])
def test_a_description_is_short_and_printable(given: str) -> None:
    with pytest.raises(InvalidField):
        valid_description(given)


def test_a_reference_is_one_short_line() -> None:
    assert valid_reference(" INV/2026-17 é ") == "INV/2026-17 é"
    assert valid_reference("") is None
    for given in ("a\nb", "x" * 141, "a\tb", "\x7f"):
        with pytest.raises(InvalidField):
            valid_reference(given)
