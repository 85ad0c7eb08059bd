"""What live streams may cost: so many and no more; a client that does not read is cut off, not waited for."""

import asyncio
import contextlib
import http.client
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.client import Person
from tests.contract import raw
from tests.contract.conftest import House
from tests.listener import Listener

# Together more than queue, socket and client hold: an event with a description is more than a kilobyte.
MANY = 4000


def test_a_user_has_so_many_streams_and_a_process_so_many_of_all(open_house: Callable[..., House]) -> None:
    house = open_house(NOSTRO_STREAMS="3", NOSTRO_STREAMS_PER_USER="2")
    ann, bob = house.client.register("Ann"), house.client.register("Bob")
    with contextlib.ExitStack() as opened:

        def listen(person: Person) -> Listener:
            return opened.enter_context(Listener(house.service.url, person.token))

        assert [listen(ann).status for _ in range(2)] == [200, 200]
        refused = listen(ann)
        assert (refused.status, refused.problem()["code"]) == (429, "too_many_streams")
        assert refused.headers["retry-after"] == "1"
        assert listen(bob).status == 200
        refused = listen(bob)
        problem = refused.problem()
        assert (refused.status, problem["code"], problem["retryable"]) == (503, "streams_full", True)
        assert bob.get("/api/accounts").status_code == 200, "everything else is served"
        assert "\nnostro_streams 3.0\n" in house.client.request("GET", "/metrics").text


def test_all_who_come_back_at_once_are_let_in_and_hold_up_no_other_request(
    open_house: Callable[..., House],
) -> None:
    house = open_house(NOSTRO_STREAMS_PER_USER="400")
    ann, account = house.funded(1)
    parts = urlsplit(house.service.url)
    sent = raw.request("GET", "/api/stream", Authorization=f"Bearer {ann.token}")

    async def come_back() -> bytes:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(sent)
        status = await reader.readline()
        await reader.readuntil(b"event: heartbeat")
        writer.close()
        return status

    async def all_of_them() -> tuple[list[bytes], set[int]]:
        crowd = asyncio.gather(*(come_back() for _ in range(400)))
        others = set()
        while not crowd.done():
            others.add((await asyncio.to_thread(ann.get, f"/api/accounts/{account}")).status_code)
        return await crowd, others

    statuses, others = asyncio.run(all_of_them())
    assert set(statuses) == {b"HTTP/1.1 200 OK\r\n"}
    assert others == {200}


@pytest.mark.slow
def test_a_client_that_does_not_read_is_cut_off_while_the_others_go_on(
    open_house: Callable[..., House],
) -> None:
    house = open_house()
    ann, source = house.funded(MANY)
    target = ann.open_account()
    with (
        Listener(house.service.url, ann.token, small=True) as silent,
        Listener(house.service.url, ann.token) as attentive,
    ):
        first = silent.until("heartbeat").id
        assert first is not None
        attentive.until("heartbeat")
        transfers = [
            {"fromAccount": source, "toAccount": target, "amount": 1, "idempotencyKey": f"{number}"}
            for number in range(MANY)
        ]
        with ThreadPoolExecutor(1) as beside:
            reading = beside.submit(lambda: [attentive.until("message").id for _ in range(MANY)])
            answer = ann.post("/api/transactions/bulk", {"transfers": transfers})
            told = reading.result()
        assert answer.json()["succeeded"] == MANY
        assert told == list(range(first + 1, first + 1 + MANY))
        cut_off = _read_to_the_end(silent)
    assert 0 < len(cut_off) < MANY
    assert cut_off == told[: len(cut_off)], "what it was told has no gap, so it can resume"
    assert "\nnostro_streams_cut_off_total 1.0\n" in house.client.request("GET", "/metrics").text
    with Listener(house.service.url, ann.token, f"?lastEventId={cut_off[-1]}") as resumed:
        assert [resumed.until("message").id for _ in range(MANY - len(cut_off))] == told[len(cut_off) :]


def _read_to_the_end(stream: Listener) -> list[int]:
    """The positions of the events that still arrive, until the service has ended the connection."""
    positions: list[int] = []
    with contextlib.suppress(ConnectionResetError, http.client.IncompleteRead):
        positions += (told.id for told in stream if told.name == "message" and told.id is not None)
    return positions
