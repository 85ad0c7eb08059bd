"""Who is committed next: nobody is starved, and bulk work leaves room for the others."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from nostro.domain.errors import NostroError, Overloaded
from nostro.domain.ids import ObjectId
from nostro.ledger import queue as rules
from nostro.ledger.queue import BATCHES_UNTIL_DOUBLE, BATCHES_UNTIL_QUIET, Batch, Queue, Share, Waiter, Whole


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


def _singles(queue: Queue, busy: str = "", at_least: int = 1) -> Batch:
    """The batch of singles that may go now; there must be one."""
    batch = queue.take_singles(_accounts(busy), at_least)
    assert batch is not None
    return batch


def _accounts(letters: str) -> set[ObjectId]:
    """An account is a letter here."""
    return {ObjectId(letter.encode()) for letter in letters}


def _needing(loop: asyncio.AbstractEventLoop, *needs: str) -> Queue:
    """A queue of singles, each named by the accounts it needs."""
    queue = Queue()
    for accounts in needs:
        name: Any = accounts
        queue.add(Waiter(name, sorted(_accounts(accounts)), loop.create_future(), 1))
    return queue


def test_singles_come_in_their_order_up_to_the_size_of_a_batch(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(max_batch=3)
    for waiter in _waiters(loop, "s", 5):
        queue.add(waiter)
    assert _names(_singles(queue).waiters) == ["s0", "s1", "s2"]
    assert _names(_singles(queue).waiters) == ["s3", "s4"]
    assert not queue


def test_singles_and_bulk_work_are_never_in_one_batch(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(max_batch=6, chunk=2)
    queue.add_bulk(_waiters(loop, "b", 10), together=False)
    for waiter in _waiters(loop, "s", 2):
        queue.add(waiter)
    singles, bulk = _singles(queue), queue.take_bulk()
    assert (_names(singles.waiters), singles.is_bulk) == (["s0", "s1"], False)
    assert (_names(bulk.waiters), bulk.is_bulk) == (["b0", "b1"], True)


def test_chunks_grow_while_singles_stay_away(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(max_batch=6, chunk=2)
    queue.add_bulk(_waiters(loop, "b", 1000), together=False)
    assert len(queue.take_bulk().waiters) == 6
    queue.add(_waiters(loop, "s", 1)[0])
    _singles(queue)
    sizes = [len(queue.take_bulk().waiters) for _ in range(BATCHES_UNTIL_DOUBLE + 2)]
    assert sizes == [*[2] * BATCHES_UNTIL_QUIET, *[6] * (BATCHES_UNTIL_DOUBLE - BATCHES_UNTIL_QUIET), 12, 12]
    queue.add(_waiters(loop, "s", 1)[0])
    _singles(queue)
    assert len(queue.take_bulk().waiters) == 2


def test_several_bulks_take_turns(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(max_batch=2, chunk=2)
    queue.add_bulk(_waiters(loop, "a", 6), together=False)
    queue.add_bulk(_waiters(loop, "b", 5), together=False)
    assert _all_taken(queue) == [["a0", "a1"], ["a2", "a3"], ["b0", "b1"], ["b2", "b3"], ["a4", "a5"], ["b4"]]


def test_bulks_take_shorter_turns_while_there_are_singles(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(max_batch=2, chunk=2)
    queue.add(_waiters(loop, "s", 1)[0])
    _singles(queue)
    queue.add_bulk(_waiters(loop, "a", 4), together=False)
    queue.add_bulk(_waiters(loop, "b", 3), together=False)
    assert _all_taken(queue) == [["a0", "a1"], ["b0", "b1"], ["a2", "a3"], ["b2"]]


def _all_taken(queue: Queue) -> list[list[str]]:
    """The names of bulk work, chunk by chunk."""
    taken = []
    while queue:
        taken.append(_names(queue.take_bulk().waiters))
    return taken


def test_all_or_nothing_work_is_a_batch_of_its_own_in_its_turn(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(max_batch=2, chunk=1)
    queue.add_bulk(_waiters(loop, "g", 3), together=True)
    queue.add_bulk(_waiters(loop, "a", 5), together=False)
    queue.add_bulk(_waiters(loop, "h", 3), together=True)
    taken = []
    while queue:
        batch = queue.take_bulk()
        taken.append((_names(batch.waiters), batch.together))
    assert taken == [
        (["g0", "g1", "g2"], True),
        (["a0", "a1"], False),
        (["a2", "a3"], False),
        (["h0", "h1", "h2"], True),
        (["a4"], False),
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
    assert _names(_singles(queue).waiters) == ["n0"]
    assert _names(queue.take_bulk().waiters) == ["p0"]
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


def test_who_needs_a_busy_account_stays_and_the_others_go(loop: asyncio.AbstractEventLoop) -> None:
    queue = _needing(loop, "ab", "cd", "ea", "fg")
    assert _names(_singles(queue, busy="a").waiters) == ["cd", "fg"]
    assert queue.singles == 2
    assert _names(_singles(queue).waiters) == ["ab", "ea"]


def test_who_comes_later_never_overtakes_one_who_stays_at_an_account_of_theirs(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """ "bc" needs nothing that is busy, but "ab" stays and needs b; so does "cd" then because of "bc"."""
    queue = _needing(loop, "bx", "ab", "bc", "cd", "ef")
    assert _names(_singles(queue, busy="a").waiters) == ["bx", "ef"]
    assert _names(_singles(queue).waiters) == ["ab", "bc", "cd"]


def test_whoever_stays_is_first_when_the_account_is_free_however_many_came_since(
    loop: asyncio.AbstractEventLoop,
) -> None:
    queue = _needing(loop, "ab")
    queue.max_batch = 3
    for _ in range(20):
        for waiter in _needing(loop, "bc", "xy")._singles:
            queue.add(waiter)
        batch = queue.take_singles(_accounts("a"), 1)
        assert batch is None or not any("b" in name for name in _names(batch.waiters))
    assert _names(_singles(queue).waiters)[0] == "ab"


def test_with_fewer_than_are_worth_it_nobody_goes_and_the_order_stays(
    loop: asyncio.AbstractEventLoop,
) -> None:
    queue = _needing(loop, "ab", "cd", "ea", "fg")
    assert queue.take_singles(_accounts("a"), 3) is None
    assert queue.take_singles(_accounts("acf"), 1) is None
    assert queue.take_singles(_accounts(""), 5) is None
    assert queue.singles == 4
    assert _names(_singles(queue).waiters) == ["ab", "cd", "ea", "fg"]


def test_nobody_goes_from_an_empty_queue(loop: asyncio.AbstractEventLoop) -> None:
    assert Queue().take_singles() is None
    assert Queue().take_singles(_accounts("a"), 1) is None


def test_who_stays_keeps_the_place_before_those_beyond_the_size_of_a_batch(
    loop: asyncio.AbstractEventLoop,
) -> None:
    queue = _needing(loop, "ab", "cd", "ef", "gh")
    queue.max_batch = 2
    assert _names(_singles(queue, busy="a").waiters) == ["cd"]
    assert _names(_singles(queue).waiters) == ["ab", "ef"]
    assert _names(_singles(queue).waiters) == ["gh"]


def test_what_stays_is_still_told_when_it_waited_too_long(loop: asyncio.AbstractEventLoop) -> None:
    queue = _needing(loop, "ab", "cd")
    stayed = queue._singles[0]
    _singles(queue, busy="a")
    queue.expire(now=2)
    assert isinstance(stayed.answer.result(), Overloaded)
    assert not queue


@pytest.fixture
def nothing_is_collected() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.anyio
async def test_a_whole_is_answered_with_its_last_share_and_kept_by_nobody(nothing_is_collected: None) -> None:
    whole = Whole(2)
    first, last = Share(whole, 0), Share(whole, 1)
    last.set_result(Overloaded())
    assert (first.done(), last.done(), whole.answer.done()) == (False, True, False)
    first.set_result(NostroError())
    assert [type(outcome) for outcome in await whole.answer] == [NostroError, Overloaded]
    seen = weakref.ref(whole)
    del whole, first, last
    assert seen() is None


@pytest.mark.anyio
async def test_who_stopped_waiting_for_a_whole_waits_for_no_share_of_it() -> None:
    whole = Whole(2)
    first, last = Share(whole, 0), Share(whole, 1)
    whole.answer.cancel()
    assert first.done()
    assert last.done()
    first.set_result(Overloaded())
    last.set_result(Overloaded())
    assert whole.answer.cancelled()
