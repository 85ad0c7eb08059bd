"""Who is committed next: nobody is starved, and bulk work leaves room for the others."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from nostro.domain.errors import Overloaded
from nostro.ledger import queue as rules
from nostro.ledger.queue import Queue, Waiter


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def _waiters(loop: asyncio.AbstractEventLoop, name: str, count: int, deadline: float = 1) -> list[Waiter]:
    """Waiters whose request is just a name: the queue never looks into it."""
    names: list[Any] = [f"{name}{number}" for number in range(count)]
    return [Waiter(request, (), loop.create_future(), deadline) for request in names]


def _names(waiters: Any) -> list[str]:
    return [str(waiter.request) for waiter in waiters]


def test_singles_come_in_their_order_up_to_the_size_of_a_batch(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(max_batch=3)
    for waiter in _waiters(loop, "s", 5):
        queue.add(waiter)
    assert _names(queue.take().waiters) == ["s0", "s1", "s2"]
    assert _names(queue.take().waiters) == ["s3", "s4"]
    assert not queue


def test_bulk_fills_a_batch_that_nobody_else_needs_and_leaves_room_otherwise(
    loop: asyncio.AbstractEventLoop,
) -> None:
    queue = Queue(max_batch=6, chunk=2)
    queue.add_bulk(_waiters(loop, "b", 20), together=False)
    assert _names(queue.take().waiters) == ["b0", "b1", "b2", "b3", "b4", "b5"]
    for waiter in _waiters(loop, "s", 5):
        queue.add(waiter)
    assert _names(queue.take().waiters) == ["s0", "s1", "s2", "s3", "b6", "b7"]
    assert _names(queue.take().waiters) == ["s4", "b8", "b9"]


def test_several_bulks_take_turns(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(max_batch=2, chunk=2)
    queue.add_bulk(_waiters(loop, "a", 4), together=False)
    queue.add_bulk(_waiters(loop, "b", 3), together=False)
    taken = []
    while queue:
        taken.append(_names(queue.take().waiters))
    assert taken == [["a0", "a1"], ["b0", "b1"], ["a2", "a3"], ["b2"]]


def test_all_or_nothing_work_is_a_batch_of_its_own_and_takes_turns_with_singles(
    loop: asyncio.AbstractEventLoop,
) -> None:
    queue = Queue(max_batch=2, chunk=1)
    queue.add_bulk(_waiters(loop, "g", 3), together=True)
    queue.add_bulk(_waiters(loop, "h", 3), together=True)
    for waiter in _waiters(loop, "s", 2):
        queue.add(waiter)
    taken = []
    while queue:
        batch = queue.take()
        taken.append((_names(batch.waiters), batch.together))
    assert taken == [
        (["s0"], False),
        (["g0", "g1", "g2"], True),
        (["s1"], False),
        (["h0", "h1", "h2"], True),
    ]


def test_what_waited_too_long_is_told_that_nothing_was_done(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue()
    old, new = _waiters(loop, "s", 1, deadline=1), _waiters(loop, "n", 1, deadline=9)
    bulk = _waiters(loop, "b", 2, deadline=1)
    queue.add(old[0])
    queue.add(new[0])
    patient, group = _waiters(loop, "p", 1, deadline=9), _waiters(loop, "g", 2, deadline=1)
    queue.add_bulk(bulk, together=False)
    queue.add_bulk(patient, together=False)
    queue.add_bulk(group, together=True)
    queue.expire(now=2)
    late = [*old, *bulk, *group]
    assert all(isinstance(waiter.answer.result(), Overloaded) for waiter in late)
    assert _names(queue.take().waiters) == ["n0", "p0"]
    assert not queue


def test_more_than_can_wait_is_refused_at_once(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(max_waiting=2)
    one, two, three = _waiters(loop, "s", 3)
    queue.add(one)
    queue.add(two)
    with pytest.raises(Overloaded):
        queue.add(three)
    monkeypatch.setattr(rules, "MAX_WAITING_IN_BULK", 3)
    queue.add_bulk(_waiters(loop, "b", 2), together=False)
    with pytest.raises(Overloaded):
        queue.add_bulk(_waiters(loop, "b", 2), together=False)
