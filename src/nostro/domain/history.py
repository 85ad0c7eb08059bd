"""What can be asked of a history, and how a page of it is cut.

A page is a stretch of an account's entries by `seq`, which is dense: a page knows without counting whether
there is more on either side, and what is recorded meanwhile never moves a page that is turned to.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount
from nostro.domain.transaction import Direction, Kind, TransactionStatus


class Filters(NamedTuple):
    """What is kept; None keeps everything. `since` (inclusive) and `until` (exclusive) are times of recording.

    `text` stands somewhere in the description or the reference, in any case; `reference` is the whole of it;
    `metadata` are JSON objects, as text, of which the metadata contains one.
    """

    since: datetime | None = None
    until: datetime | None = None
    direction: Direction | None = None
    counterparty: ObjectId | None = None
    least: Amount | None = None
    most: Amount | None = None
    kind: Kind | None = None
    status: TransactionStatus | None = None
    reference: str | None = None
    text: str | None = None
    metadata: Sequence[str] | None = None

    @property
    def selective(self) -> bool:
        """Whether something between the two times may be left out."""
        return any(value is not None for value in self[2:])


class Place(NamedTuple):
    """Where to go on: with what is older than `edge`, or with what is newer."""

    edge: int
    older: bool


class Stretch(NamedTuple):
    """From `first` to `last`, both included; empty when `last` is `first` - 1."""

    first: int
    last: int


def stretch_of(whole: Stretch, place: Place | None, *, newest_first: bool, width: int) -> tuple[Stretch, bool]:
    """The next `width` of `whole` at `place` (at its beginning, when None); and whether to read downwards."""
    if place is None:
        place = Place(whole.last + 1, older=True) if newest_first else Place(whole.first - 1, older=False)
    if place.older:
        last = max(min(whole.last, place.edge - 1), whole.first - 1)
        return Stretch(max(whole.first, last - width + 1), last), True
    first = min(max(whole.first, place.edge + 1), whole.last + 1)
    return Stretch(first, min(whole.last, first + width - 1)), False


def looked_at(stretch: Stretch, found: Sequence[int], *, downwards: bool, limit: int) -> Stretch:
    """The part of `stretch` that is done with: all of it, unless `limit` matches were found before its end."""
    if len(found) < limit:
        return stretch
    return Stretch(found[-1], stretch.last) if downwards else Stretch(stretch.first, found[-1])
