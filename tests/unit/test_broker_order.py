"""Events to brokers: as many at once as can be, and never two of one account or user."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nostro.domain.event import Event
from nostro.followers.waves import publish_in_order, waves


def event(position: int, *accounts: int, kind: str = "transaction.completed") -> Event:
    concerned = tuple(number.to_bytes(12, "big") for number in accounts)
    return Event(
        position=position,
        id=f"evt_{position}",
        type=kind,
        time=datetime(2026, 11, 21, tzinfo=UTC),
        subject="",
        accounts=concerned,
        owners=concerned,
        users=concerned,
        data={},
        source="urn:uuid:0",
    )


def positions(cut: list[list[Event]]) -> list[list[int]]:
    return [[one.position for one in wave] for wave in cut]


def test_unrelated_events_go_at_once_and_related_ones_one_after_the_other() -> None:
    events = [event(1, 1, 2), event(2, 3, 4), event(3, 2, 3), event(4, 5, 6), event(5, 1, 9), event(6)]
    assert positions(waves(events)) == [[1, 2, 4, 6], [3, 5]]


def test_what_only_mail_may_know_goes_to_no_broker() -> None:
    assert waves([event(1, 1, kind="user.password_reset_requested")]) == []


@given(st.lists(st.lists(st.integers(1, 6), max_size=3, unique=True), max_size=40))
def test_every_event_is_in_one_wave_and_behind_all_earlier_ones_of_its_accounts(
    concerned: list[list[int]],
) -> None:
    events = [event(position, *accounts) for position, accounts in enumerate(concerned)]
    cut = positions(waves(events))
    wave_of = {position: number for number, wave in enumerate(cut) for position in wave}
    assert sorted(wave_of) == list(range(len(concerned)))
    assert sum(map(len, cut)) == len(concerned)
    for late, accounts in enumerate(concerned):
        for early in range(late):
            if set(accounts) & set(concerned[early]):
                assert wave_of[early] < wave_of[late]


@pytest.mark.anyio
async def test_after_a_failure_nothing_is_under_way_and_nothing_later_was_sent() -> None:
    sent, acknowledged, slow = [], [], asyncio.Event()

    async def send(one: Event) -> None:
        sent.append(one.position)
        if one.position == 1:
            asyncio.get_running_loop().call_soon(slow.set)
            raise ConnectionError
        await slow.wait()
        acknowledged.append(one.position)

    with pytest.raises(ConnectionError):
        await publish_in_order([event(1, 1), event(2, 2), event(3, 1, 2)], send)
    assert (sent, acknowledged) == ([1, 2], [2])
