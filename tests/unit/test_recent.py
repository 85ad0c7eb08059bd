"""How long what was committed is kept for those who follow, and how much of it."""

from datetime import UTC, datetime

from nostro.domain.account import Account, AccountStatus
from nostro.domain.books import Books
from nostro.domain.ids import ObjectId
from nostro.domain.transaction import Kind, Operation, Transaction
from nostro.ledger.recent import KEPT_FOR_S, MOST_KEPT, Recent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB = (ObjectId(number.to_bytes(12, "big")) for number in (1, 2))


def batch(first: int, count: int) -> Books:
    """Books of transfers at `count` positions from `first` on."""
    accounts = {
        one: Account(one, one, "INR", 2, AccountStatus.ACTIVE, 10**9, 0, 0, 0, None, False)
        for one in (ANN, BOB)
    }
    books = Books(now=NOW, accounts=accounts, callers={}, revoked=set(), recorded={})
    for position in range(first, first + count):
        own = ObjectId(position.to_bytes(12, "big"))
        moved = Transaction(
            *(own, Kind.TRANSFER, Operation.TRANSFER, ANN, f"key {position}", b""),
            *(ANN, BOB, 1, "INR", 2, NOW, position),
        )
        books.record(moved)
        books.move(moved, accounts[ANN], accounts[BOB], 1)
    return books


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def positions(recent: Recent) -> list[int]:
    return [one.transaction.position for one in recent.at(range(3 * MOST_KEPT))[0]]


def test_nothing_is_kept_before_somebody_asks_or_when_nobody_does_any_more() -> None:
    clock = Clock()
    recent = Recent(clock)
    recent.add(batch(1, 2))
    assert recent.at([1, 2, 3]) == ([], [1, 2, 3])
    recent.add(batch(3, 2))
    clock.now += KEPT_FOR_S / 2
    recent.add(batch(5, 2))
    clock.now += KEPT_FOR_S
    recent.add(batch(7, 2))
    assert positions(recent) == []


def test_who_is_far_behind_lets_nothing_be_kept() -> None:
    clock = Clock()
    recent = Recent(clock)
    recent.add(batch(2 * MOST_KEPT, 2))
    assert recent.at(range(1, 200))[0] == []
    recent.add(batch(2 * MOST_KEPT + 2, 2))
    assert positions(recent) == []
    recent.add(batch(2 * MOST_KEPT + 4, 2))
    assert len(positions(recent)) == 2


def test_what_is_old_is_read_again() -> None:
    clock = Clock()
    recent = Recent(clock)
    recent.at([])
    recent.add(batch(1, 2))
    clock.now += KEPT_FOR_S / 2
    assert positions(recent) == [1, 2]
    recent.add(batch(3, 2))
    clock.now += KEPT_FOR_S / 2
    assert positions(recent) == [3, 4]
    clock.now += KEPT_FOR_S / 2
    assert positions(recent) == []


def test_no_more_is_kept_than_there_is_room_for() -> None:
    recent = Recent(Clock())
    recent.at([])
    for first in range(1, 2 * MOST_KEPT, 1000):
        recent.add(batch(first, 1000))
    assert len(positions(recent)) == MOST_KEPT
    assert positions(recent)[-1] == 2 * MOST_KEPT
