"""PostgreSQL array literals, for the hot statements: `$1::text::bytea[]`.

Given a list, the driver asks of every element, in Python, whether it is an array itself; for a batch of
transfers that costs more than everything else the driver does.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import TypeVar, cast

from nostro.domain.ids import LENGTH

Value = TypeVar("Value")


def bytes_array(values: Iterable[bytes]) -> str:
    """For bytea[]."""
    return "{" + ",".join(['"\\\\x' + value.hex() + '"' for value in values]) + "}"


def ids_array(values: Collection[bytes]) -> str:
    """For bytea[] of ids, which are all of one length: three times as fast."""
    if not values:
        return "{}"
    return '{"\\\\x' + b"".join(values).hex(",", LENGTH).replace(",", '","\\\\x') + '"}'


def plain_array(values: Iterable[int]) -> str:
    """For whole numbers."""
    return "{" + str([*values])[1:-1] + "}"


def enum_array(values: Iterable[str]) -> str:
    """For words of ours that need no quotation marks: kinds, operations, directions."""
    return "{" + ",".join(values) + "}"


def word_array(values: Iterable[str]) -> str:
    """For text without quotation marks or backslashes, such as currency codes; one may be called NULL."""
    return '{"' + '","'.join(values) + '"}'


def words_of(array: str) -> list[str]:
    """What `word_array` wrote, or PostgreSQL of elements that it quotes, all of them; not of an empty array."""
    return array[2:-2].split('","')


def text_array(values: Sequence[str]) -> str:
    """For any text. Most has nothing in it that needs a backslash."""
    joined = '","'.join(values)
    if values and "\\" not in joined and joined.count('"') == 2 * (len(values) - 1):
        return '{"' + joined + '"}'
    return "{" + ",".join(map(quoted, values)) + "}"


def sparse_array(values: Sequence[Value | None], write: Callable[[Value], str] = str) -> str:
    """For values that may be None. Empty when all are: `unnest` fills a shorter array up with NULLs."""
    missing = values.count(None)
    if missing == len(values):
        return "{}"
    if not missing:
        return "{" + ",".join(map(write, cast("Sequence[Value]", values))) + "}"
    return "{" + ",".join(["NULL" if value is None else write(value) for value in values]) + "}"


def quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def moment(value: datetime) -> str:
    """A time as an element, exact to the microsecond; quoted because of its blank."""
    return f'"{value.isoformat()}"'
