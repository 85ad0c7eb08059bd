"""PostgreSQL array literals, for the hot statements: `$1::text::bytea[]`.

Given a list, the driver asks of every element, in Python, whether it is an array itself; for a batch of
transfers that costs more than everything else the driver does.
"""

from collections.abc import Iterable


def bytes_array(values: Iterable[bytes]) -> str:
    """For bytea[]."""
    return "{" + ",".join(['"\\\\x' + value.hex() + '"' for value in values]) + "}"


def plain_array(values: Iterable[int | str]) -> str:
    """For numbers, and for words that need no quotation marks: currency codes, kinds, directions."""
    return "{" + ",".join(map(str, values)) + "}"


def text_array(values: Iterable[str]) -> str:
    """For any text."""
    return "{" + ",".join([_quoted(value) for value in values]) + "}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
