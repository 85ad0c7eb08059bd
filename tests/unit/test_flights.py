"""Which batch may set out beside those under way, and after whom it is written."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from nostro.domain.ids import ObjectId
from nostro.ledger.flights import Flight, Flights
from nostro.ledger.queue import Queue, Waiter
from nostro.store.optimistic import Written

pytestmark = pytest.mark.anyio

WRITTEN = Written(before=6, moment=datetime(2026, 7, 1, tzinfo=UTC), version=70, ctids=["(0,1)"], accounts={})


class Airfield:
    """Flights that land when a test says so. An account is a letter; a request is named by those it needs."""

    def __init__(self, worth_a_second: int = 2, chunk: int = 2, *, quiet: bool = False) -> None:
        self.queue = Queue(max_batch=4, chunk=chunk)
        self.flights = Flights(self.queue, worth_a_second)
        assert self.queue.is_quiet
        if not quiet:
            self.single("z")
            self.queue.take_singles()

    @staticmethod
    def _waiters(*needs: str) -> list[Waiter]:
        loop = asyncio.get_running_loop()
        names: list[Any] = list(needs)
        return [
            Waiter(name, [ObjectId(letter.encode()) for letter in name], loop.create_future(), 1)
            for name in names
        ]

    def single(self, *needs: str) -> None:
        for waiter in self._waiters(*needs):
            self.queue.add(waiter)

    def bulk(self, *needs: str) -> None:
        self.queue.add_bulk(self._waiters(*needs), together=False)

    def set_out(self) -> tuple[Flight, "asyncio.Task[None]"]:
        flight = self.flights.next()
        assert flight is not None
        task = asyncio.create_task(asyncio.sleep(0))
        self.flights.add(task, flight)
        return flight, task

    def nobody_sets_out(self) -> bool:
        return self.flights.next() is None


def names(flight: Flight) -> list[str]:
    return [str(waiter.request) for waiter in flight.batch.waiters]


async def test_the_second_batch_waits_until_it_is_worth_it_and_a_third_until_one_has_landed() -> None:
    field = Airfield()
    field.single("ab")
    _, first = field.set_out()
    field.single("cd")
    assert field.nobody_sets_out()
    field.single("ef")
    second, _ = field.set_out()
    assert (names(second), second.after, second.is_short) == (["cd", "ef"], [], True)
    field.single("gh", "ij", "kl")
    assert field.nobody_sets_out()
    field.flights.landed(first)
    assert names(field.set_out()[0]) == ["gh", "ij", "kl"]


async def test_who_needs_an_account_under_way_stays_while_enough_others_go() -> None:
    field = Airfield()
    field.single("ab")
    first, _ = field.set_out()
    field.flights.decided(first)
    field.single("bc", "de", "fg")
    second, _ = field.set_out()
    assert (names(second), second.after) == (["de", "fg"], [])


async def test_what_follows_on_the_same_accounts_is_worth_it_too() -> None:
    field = Airfield(worth_a_second=3)
    field.single("ab", "ac", "ad")
    first, _ = field.set_out()
    field.flights.decided(first)
    field.single("ae", "af")
    assert field.nobody_sets_out()
    field.single("ag")
    second, _ = field.set_out()
    assert (names(second), second.after, second.is_short) == (["ae", "af", "ag"], [first], True)


async def test_who_was_passed_over_goes_as_soon_as_it_is_known_what_the_one_before_will_leave() -> None:
    field = Airfield(worth_a_second=2)
    field.single("ab")
    first, _ = field.set_out()
    field.single("ac", "ad")
    assert field.nobody_sets_out()
    field.flights.decided(first)
    second, _ = field.set_out()
    assert (names(second), second.after, second.is_short) == (["ac", "ad"], [first], True)


async def test_with_many_about_the_second_batch_is_nearly_as_large_as_the_first() -> None:
    field = Airfield()
    field.queue.max_batch = 100
    field.single("ab", "cd", "ef", "gh", "ij", "kl", "mn", "op")
    _, first = field.set_out()
    field.single("AB", "CD", "EF", "GH")
    assert field.nobody_sets_out(), "four of twelve"
    field.single("IJ")
    _, second = field.set_out()
    for task in (first, second):
        field.flights.landed(task)
    field.single("ab")
    field.set_out()
    field.single("cd", "ef", "gh")
    assert field.nobody_sets_out(), "who was answered a moment ago comes back"


async def test_many_who_do_not_come_back_are_forgotten() -> None:
    field = Airfield()
    field.queue.max_batch = 100
    field.single(*["ab"] * 50)
    _, task = field.set_out()
    for _ in range(30):
        field.flights.landed(task)
        field.single("ab")
        _, task = field.set_out()
    field.single("cd", "ef")
    assert names(field.set_out()[0]) == ["cd", "ef"]


async def test_nobody_follows_a_batch_that_is_not_decided() -> None:
    field = Airfield(worth_a_second=1)
    field.single("ab")
    _, task = field.set_out()
    field.single("bc", "bd")
    assert field.nobody_sets_out()
    field.flights.landed(task)
    assert names(field.set_out()[0]) == ["bc", "bd"]


async def test_beside_bulk_work_one_request_is_enough_and_beside_singles_it_is_its_turn() -> None:
    field = Airfield(worth_a_second=16)
    field.bulk("ab", "cd", "ef", "gh", "ij", "kl")
    bulk, chunk = field.set_out()
    assert names(bulk) == ["ab", "cd"]
    field.single("xy")
    assert names(field.set_out()[0]) == ["xy"]
    field.single(*["uv"] * 16)
    assert field.nobody_sets_out()
    field.flights.landed(chunk)
    assert names(field.set_out()[0]) == ["ef", "gh"]


async def test_a_request_on_an_account_of_bulk_work_that_is_not_decided_goes_under_the_lock() -> None:
    field = Airfield()
    field.bulk("ab", "cd")
    field.set_out()
    field.single("bc")
    single, _ = field.set_out()
    assert (single.is_short, single.after) == (False, [])


async def test_while_singles_are_about_one_chunk_is_under_way_at_a_time() -> None:
    field = Airfield()
    field.bulk("ab", "cd", "ef")
    first, _ = field.set_out()
    field.flights.decided(first)
    assert field.nobody_sets_out()


async def test_bulk_work_alone_has_two_chunks_under_way_and_leaves_the_third_place_to_singles() -> None:
    field = Airfield(chunk=4, quiet=True)
    field.bulk(*["ab"] * 12)
    first, _ = field.set_out()
    assert field.nobody_sets_out()
    field.flights.decided(first)
    second, _ = field.set_out()
    assert (len(names(second)), second.after) == (4, [first])
    field.flights.decided(second)
    assert field.nobody_sets_out()
    field.single("xy")
    assert names(field.set_out()[0]) == ["xy"]
    field.single("uv", "uw")
    assert field.nobody_sets_out()


def two_chunks() -> tuple[Flight, Flight]:
    """Of one bulk, with no account in common; the second is decided on what the first will leave."""
    field = Airfield(chunk=2, quiet=True)
    field.queue.max_batch = 2
    field.bulk("ab", "cd", "ef", "gh")
    first, _ = field.set_out()
    field.flights.decided(first)
    second, _ = field.set_out()
    return first, second


async def test_chunks_are_written_in_their_order_even_if_they_have_no_account_in_common() -> None:
    first, second = two_chunks()
    assert second.after == [first]
    waits = asyncio.create_task(second.turn())
    await asyncio.sleep(0)
    assert not waits.done()
    await first.hand_over(WRITTEN)
    assert await waits == [WRITTEN]
    assert await first.turn() == []


async def test_who_comes_after_one_that_failed_is_told_so() -> None:
    first, second = two_chunks()
    first.is_over()
    assert await second.turn() == [None]


async def test_whoever_is_after_one_that_is_written_goes_on_before_anyone_is_told_of_that() -> None:
    first, second = two_chunks()
    happened = []

    async def go_on() -> None:
        await second.turn()
        happened.append("sent")

    going_on = asyncio.create_task(go_on())
    await asyncio.sleep(0)
    await first.hand_over(WRITTEN)
    happened.append("told")
    await going_on
    assert happened == ["sent", "told"]


async def test_whoever_is_after_one_goes_on_before_that_one_lets_go_of_the_one_before_it() -> None:
    first, second = two_chunks()
    third = Flight(second.batch, second.accounts, [second])
    kept = []

    async def go_on() -> None:
        await third.turn()
        kept.extend(second.after)

    going_on = asyncio.create_task(go_on())
    await asyncio.sleep(0)
    await second.hand_over(WRITTEN)
    await going_on
    assert kept == [first]
    assert second.after == []


async def test_nobody_is_waited_for_when_there_is_nobody_after_the_one_that_is_written() -> None:
    field = Airfield(worth_a_second=1)
    field.single("ab")
    alone, _ = field.set_out()
    happened = []
    asyncio.get_running_loop().call_soon(happened.append, "something else")
    await alone.hand_over(WRITTEN)
    assert happened == []


async def test_whoever_is_over_keeps_nobody_in_memory() -> None:
    field = Airfield(worth_a_second=1)
    field.single("ab")
    first, _ = field.set_out()
    field.flights.decided(first)
    field.single("ab")
    second, task = field.set_out()
    field.flights.landed(task)
    assert second.after == []
    assert [*field.flights] == [first]
