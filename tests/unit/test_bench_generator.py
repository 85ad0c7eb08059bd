"""The generator against a server of a few lines: what it counts, and from when it counts."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count

import pytest

from nostro.bench.generator import play
from nostro.bench.load import LoadPlan, LoadResult
from nostro.bench.options import BenchError
from nostro.bench.population import Errand
from nostro.bench.wire import connect

Reply = Callable[[int], Awaitable[bytes]]


def answer(status: int, body: bytes = b"{}") -> bytes:
    return b"HTTP/1.1 %d -\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


class Talk(asyncio.Protocol):
    """One connection of a server that answers request n with `reply(n)`, or hangs up when that is empty."""

    def __init__(self, reply: Reply, numbers: Iterator[int], talks: list["Talk"]) -> None:
        self.reply, self.numbers = reply, numbers
        self.gone = asyncio.Event()
        talks.append(self)
        self.tasks: set[asyncio.Task[None]] = set()
        self.heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Of a request in pieces, answered is the whole."""
        self.heard += data
        head, end, body = self.heard.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        if end and len(body) == (int(length[1]) if length else 0):
            self.heard = b""
            self.tasks = {asyncio.ensure_future(self.respond())}

    async def respond(self) -> None:
        answered = await self.reply(next(self.numbers))
        if answered:
            self.transport.write(answered)
        else:
            self.transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.gone.set()


@asynccontextmanager
async def serving(reply: Reply) -> AsyncIterator[int]:
    """The port of a server that is gone, with all its connections, afterwards."""
    numbers, talks = count(), list[Talk]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Talk(reply, numbers, talks), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        async with asyncio.timeout(5):
            for talk in talks:
                await talk.gone.wait()


def played(reply: Reply, workload: str = "uniform", rate: float | None = None) -> LoadResult:
    async def both() -> LoadResult:
        async with serving(reply) as port:
            return await play(
                LoadPlan(
                    workload=workload,
                    host="127.0.0.1",
                    port=port,
                    connections=2,
                    warmup_seconds=0.05,
                    seconds=0.2,
                    rate=rate,
                    tokens=["t"],
                    accounts=[f"{n:024x}" for n in range(10)],
                    round_key="0123abcd",
                    seed=1,
                )
            )

    return asyncio.run(both())


def test_every_expected_answer_is_counted_once() -> None:
    sent = 0

    async def reply(_number: int) -> bytes:
        nonlocal sent
        sent += 1
        await asyncio.sleep(0.002)
        return answer(201)

    result = played(reply)
    [kind] = result.kinds
    assert kind.done_in_all == sent
    assert 0 < kind.done_in_window < sent
    assert result.unexpected == {}
    assert min(bucket for bucket, _ in kind.latency_buckets) > 256  # none took less than 2 ms


def test_an_unexpected_answer_is_named_and_not_counted_as_done() -> None:
    async def reply(number: int) -> bytes:
        await asyncio.sleep(0.001)
        return answer(201) if number % 2 else answer(503, b'{"code":"queue_full"}')

    result = played(reply)
    assert result.unexpected["503 queue_full"] > 0
    assert list(result.unexpected) == ["503 queue_full"]
    assert result.sample == '{"code":"queue_full"}'
    assert result.kinds[0].done_in_all > 0


def test_a_replay_is_not_a_transfer() -> None:
    async def reply(_number: int) -> bytes:
        await asyncio.sleep(0.001)
        return answer(200, b'{"message":"Transaction already processed"}')

    result = played(reply)
    assert result.kinds[0].done_in_all == 0
    assert list(result.unexpected) == ["200 Transaction already processed"]


def test_a_connection_the_server_closes_is_an_error() -> None:
    async def reply(_number: int) -> bytes:
        return b""

    assert played(reply).unexpected == {"connection lost": 2}


def test_in_an_open_loop_latency_counts_from_when_a_request_was_due() -> None:
    # Two connections at 20 ms an answer serve 100 a second; 200 fall due. Each takes 20 ms once sent, but
    # the last ones were due far earlier.
    async def reply(_number: int) -> bytes:
        await asyncio.sleep(0.02)
        return answer(201)

    result = played(reply, rate=200)
    [kind] = result.kinds
    assert kind.latency_max_us > 80_000
    assert result.late_us > 40_000
    assert kind.done_in_all == pytest.approx(0.25 * 200, abs=6)  # nothing that fell due is left out


def test_a_mix_counts_its_kinds_apart() -> None:
    async def reply(_number: int) -> bytes:
        await asyncio.sleep(0.001)
        return answer(201)

    result = played(reply, workload="read-mix")
    transfer, balance = result.kinds
    assert transfer.done_in_all > 0
    assert balance.done_in_all == 0
    assert result.unexpected["201"] > 0


def test_what_runs_in_the_background_is_counted_apart_and_stays_a_closed_loop() -> None:
    async def reply(_number: int) -> bytes:
        await asyncio.sleep(0.02)
        return answer(201)

    result = played(reply, workload="singles-beside-bulk", rate=20)
    singles, bulk = result.kinds
    assert singles.done_in_all == pytest.approx(0.25 * 20, abs=2)
    assert bulk.done_in_all == 0
    # Ten or so on its one connection, whatever falls due on the others: all are 201, which no bulk should be.
    assert result.unexpected["201"] > 5


def test_a_bulk_counts_only_when_nothing_in_it_was_refused() -> None:
    async def reply(number: int) -> bytes:
        await asyncio.sleep(0.001)
        success = b"true" if number % 2 else b"false"
        return answer(200, b'{"message":"Bulk processed","success":%b,"refused":1}' % success)

    result = played(reply, workload="bulk")
    [bulk] = result.kinds
    assert bulk.done_in_all > 0
    assert list(result.unexpected) == ["200 Bulk processed"]


def test_an_errand_keeps_its_answers_in_the_order_of_its_requests() -> None:
    async def reply(number: int) -> bytes:
        await asyncio.sleep(0.001 * (number % 3))
        return answer(201, b'{"n":%d}' % number)

    def ask(number: int) -> bytes:
        return b"GET /%d HTTP/1.1\r\n\r\n" % number

    async def errand_of(size: int, expects: int) -> list[str]:
        async with serving(reply) as port:
            errand = Errand(size, ask, expects, lambda found: str(found["n"]))
            lines = await connect(errand, "127.0.0.1", port, 3)
            errand.start(lines)
            try:
                await errand.finished
            finally:
                for line in lines:
                    line.close()
            return errand.answers

    answers = asyncio.run(errand_of(20, 201))
    assert sorted(answers, key=int) == [str(n) for n in range(20)]
    with pytest.raises(BenchError, match="answered 201"):
        asyncio.run(errand_of(20, 200))
