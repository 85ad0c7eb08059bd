"""The committer as an enemy would use it: hung up on, flooded, starved, broken from inside, shut down."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from nostro.domain.books import Posted
from nostro.domain.errors import NostroError
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount
from nostro.ledger import committer as committer_module
from nostro.ledger.attempts import Attempts
from nostro.ledger.committer import Committer
from nostro.ledger.service import Ledger, open_ledger
from nostro.ledger.transfers import transfer_request
from nostro.store import journal, optimistic
from nostro.store.queries import SQL
from tests.concurrency.bank import RUPEES, Bank, codes, fresh_key, send, token_of

pytestmark = pytest.mark.anyio


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - no event of ours tells of it
            await asyncio.sleep(0.01)


class Scene:
    """Ann with 1,000 rupees, and a gate that a batch passes only when it is open, whichever way it goes."""

    def __init__(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ledger = ledger
        self.gate, self.at_the_gate = asyncio.Event(), asyncio.Event()
        self.sizes: list[int] = []
        self.begun = 0
        self._patch = monkeypatch.setattr

    async def prepare(self) -> "Scene":
        self.bank = await Bank.open(self.ledger)
        self.ann = await self.bank.person()
        self.claims = token_of(self.ann)
        self.source, self.target = await self.bank.account(self.ann, 1000), await self.bank.account(self.ann)
        self.elsewhere = await self.bank.account(self.ann, 1000), await self.bank.account(self.ann)
        for way in ("under_lock", "if_unchanged"):
            self._put_the_gate_before(way)
        self._count(journal, "write_batch")
        self._count(optimistic, "write_if_unchanged")
        # One batch at a time, as far as these tests are concerned, unless one says otherwise.
        self.ledger.transfers.committer.flights.worth_a_second = 10**9
        return self

    def _put_the_gate_before(self, way: str) -> None:
        go = getattr(Attempts, way)

        async def go_when_open(attempts: Attempts, *rest: Any) -> Any:
            self.begun += 1
            self.at_the_gate.set()
            await self.gate.wait()
            return await go(attempts, *rest)

        self._patch(Attempts, way, go_when_open)

    def _count(self, room: Any, name: str) -> None:
        write = getattr(room, name)

        async def write_and_count(connection: Any, books: Any, *rest: Any) -> Any:
            self.sizes.append(len(books.transactions))
            return await write(connection, books, *rest)

        self._patch(room, name, write_and_count)

    def pay(
        self, key: str | None = None, along: tuple[ObjectId, ObjectId] | None = None
    ) -> "asyncio.Task[Any]":
        source, target = along or (self.source, self.target)
        return asyncio.create_task(send(self.ledger, self.claims, source, target, "1", key))

    def wished(self, count: int) -> list[Any]:
        return [
            transfer_request(self.claims, fresh_key(), self.source, self.target, Amount(1, 0))
            for _ in range(count)
        ]

    async def first_at_the_gate(self) -> "asyncio.Task[Any]":
        first = self.pay()
        await self.at_the_gate.wait()
        return first


@pytest.fixture(params=[True, False], ids=["if unchanged", "under the lock"])
async def scene(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Scene:
    ledger.transfers.committer.optimistic = request.param
    return await Scene(ledger, monkeypatch).prepare()


async def test_while_one_batch_commits_the_next_one_gathers(scene: Scene) -> None:
    first = await scene.first_at_the_gate()
    others = [scene.pay() for _ in range(30)]
    await asyncio.sleep(0)
    scene.gate.set()
    assert codes(await asyncio.gather(first, *others)) == {"posted": 31}
    assert scene.sizes == [1, 30]


async def test_a_batch_is_no_larger_than_its_limit(scene: Scene) -> None:
    scene.ledger.transfers.committer.queue.max_batch = 10
    first = await scene.first_at_the_gate()
    others = [scene.pay() for _ in range(25)]
    await asyncio.sleep(0)
    scene.gate.set()
    assert codes(await asyncio.gather(first, *others)) == {"posted": 26}
    assert scene.sizes == [1, 10, 10, 5]


async def many_turns() -> None:
    """What is going to happen without anything from outside has happened by now."""
    for _ in range(100):
        await asyncio.sleep(0)


async def a_pair(scene: Scene) -> tuple[ObjectId, ObjectId]:
    """Two accounts that no batch under way has to do with, the first without money."""
    return await scene.bank.account(scene.ann), await scene.bank.account(scene.ann)


async def test_a_second_batch_sets_out_when_enough_wait_and_never_a_third(scene: Scene) -> None:
    scene.ledger.transfers.committer.flights.worth_a_second = 8
    first = await scene.first_at_the_gate()
    few = [scene.pay(along=scene.elsewhere) for _ in range(7)]
    await many_turns()
    assert scene.begun == 1
    enough = [scene.pay(along=scene.elsewhere) for _ in range(3)]
    await until(lambda: scene.begun == 2)
    more = [scene.pay(along=await a_pair(scene)) for _ in range(20)]
    await many_turns()
    assert scene.begun == 2
    scene.gate.set()
    answers = codes(await asyncio.gather(first, *few, *enough, *more))
    assert answers == {"posted": 11, "insufficient_funds": 20}
    assert sorted(scene.sizes)[-2:] == [1, 10]


async def test_who_needs_an_account_of_the_batch_under_way_waits_for_it_and_lets_others_pass(
    scene: Scene,
) -> None:
    scene.ledger.transfers.committer.flights.worth_a_second = 8
    pairs = [await a_pair(scene) for _ in range(20)]
    first = await scene.first_at_the_gate()
    same = [scene.pay() for _ in range(20)]
    await many_turns()
    assert scene.begun == 1
    # Who asked for an account of theirs meanwhile stays behind them, too.
    behind = scene.pay(along=(scene.elsewhere[1], scene.target))
    after_that = scene.pay(along=scene.elsewhere)
    others = [scene.pay(along=pair) for pair in pairs]
    await until(lambda: scene.begun == 2)
    assert scene.ledger.transfers.committer.queue.singles == 22
    scene.gate.set()
    assert codes(await asyncio.gather(first, *same)) == {"posted": 21}
    # It came first, so the money that came after it was not there yet.
    assert codes([await behind]) == {"insufficient_funds": 1}
    assert codes([await after_that]) == {"posted": 1}
    assert codes(await asyncio.gather(*others)) == {"insufficient_funds": 20}


async def test_a_single_request_sets_out_beside_bulk_work_and_alone(scene: Scene) -> None:
    committer = scene.ledger.transfers.committer
    bulk = committer.enqueue_bulk(scene.wished(60), together=False)
    await until(lambda: scene.begun == 1)
    single = scene.pay(along=scene.elsewhere)
    await until(lambda: scene.begun == 2)
    scene.gate.set()
    outcomes = [await single, *await bulk]
    assert [type(outcome) for outcome in outcomes] == [Posted] * 61
    assert sorted(scene.sizes)[0] == 1
    assert sum(scene.sizes) == 61


async def test_bulk_work_is_not_starved_by_single_requests(scene: Scene) -> None:
    committer = scene.ledger.transfers.committer
    committer.flights.worth_a_second = 8
    first = await scene.first_at_the_gate()
    many = [scene.pay() for _ in range(40)]
    await asyncio.sleep(0)  # all of them wait, and nobody was called yet
    bulk = committer.enqueue_bulk(scene.wished(3), together=False)
    await until(lambda: scene.begun == 2)
    assert not committer.queue.has_bulk
    assert committer.queue.singles == 40
    scene.gate.set()
    assert codes(await asyncio.gather(first, *many)) == {"posted": 41}
    assert [type(outcome) for outcome in await bulk] == [Posted] * 3


async def test_beyond_the_limit_of_the_queue_nothing_is_done(scene: Scene) -> None:
    scene.ledger.transfers.committer.queue.max_waiting = 20
    first = await scene.first_at_the_gate()
    others = [scene.pay() for _ in range(50)]
    await asyncio.sleep(0)
    scene.gate.set()
    assert codes(await asyncio.gather(first, *others)) == {"posted": 21, "overloaded": 30}
    assert await scene.bank.balance(scene.target) == 2100


async def test_who_waited_too_long_for_a_turn_has_nothing_done(scene: Scene) -> None:
    scene.ledger.transfers.committer.deadline_s = 0.4
    first = await scene.first_at_the_gate()
    key = fresh_key()
    second = scene.pay(key)
    assert codes(await asyncio.gather(first, second)) == {"database_unavailable": 1, "overloaded": 1}
    scene.gate.set()
    assert codes([await scene.pay()]) == {"posted": 1}
    assert await scene.ledger.transfers.by_key(scene.ann.id, key) == []
    assert await scene.bank.balance(scene.target) == 100


async def test_a_client_that_hangs_up_cancels_neither_its_request_nor_its_neighbours(scene: Scene) -> None:
    first = await scene.first_at_the_gate()
    hung_up, neighbour = scene.pay("hung up"), scene.pay()
    await asyncio.sleep(0)
    hung_up.cancel()
    scene.gate.set()
    assert codes(await asyncio.gather(first, neighbour)) == {"posted": 2}
    with pytest.raises(asyncio.CancelledError):
        await hung_up
    assert len(await scene.ledger.transfers.by_key(scene.ann.id, "hung up")) == 1


@pytest.mark.parametrize("leaked", [asyncio.CancelledError, RuntimeError, MemoryError])
async def test_whatever_breaks_a_batch_the_next_one_is_served(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, leaked: type[BaseException]
) -> None:
    scene.gate.set()
    settle = Committer._settle

    async def break_down(*_: Any) -> None:
        monkeypatch.setattr(Committer, "_settle", settle)
        raise leaked

    monkeypatch.setattr(Committer, "_settle", break_down)
    assert codes([await scene.pay()]) == {"database_unavailable": 1}
    assert codes([await scene.pay()]) == {"posted": 1}


async def test_a_log_that_nobody_reads_stops_nobody(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    class BrokenPipe:
        def __getattr__(self, _: str) -> Any:
            raise BrokenPipeError

    scene.gate.set()
    attempt = Committer._attempt

    async def fail_once(*_: Any) -> Any:
        monkeypatch.setattr(Committer, "_attempt", attempt)
        raise ConnectionResetError

    monkeypatch.setattr(committer_module, "log", BrokenPipe())
    monkeypatch.setattr(Committer, "_attempt", fail_once)
    assert codes([await scene.pay()]) == {"database_unavailable": 1}
    assert codes([await scene.pay()]) == {"posted": 1}


async def test_a_ledger_that_closes_finishes_what_it_accepted_and_accepts_no_more(database_url: str) -> None:
    async with open_ledger(database_url, house_currency=RUPEES) as ledger:
        bank = await Bank.open(ledger)
        ann = await bank.person()
        source, target = await bank.account(ann, 1000), await bank.account(ann)
        waiting = [
            asyncio.create_task(send(ledger, token_of(ann), source, target, "1", f"key {number}"))
            for number in range(40)
        ]
        await asyncio.sleep(0)
    assert codes(await asyncio.gather(*waiting)) == {"posted": 40}
    assert codes([await send(ledger, token_of(ann), source, target, "1")]) == {"overloaded": 1}


async def test_a_clock_that_is_set_back_writes_no_entry_before_the_one_it_follows(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.gate.set()
    first = await scene.pay()
    for query in ("read_facts", "write_if_unchanged", "write_one_if_unchanged"):
        back = SQL[query].replace("clock_timestamp()", "clock_timestamp() - interval '400 days'")
        assert back != SQL[query]
        monkeypatch.setitem(SQL, query, back)
    second = await scene.pay()
    assert not isinstance(first, NostroError)
    assert second.transaction.created_at == first.transaction.created_at
    on_new_accounts = await send(
        scene.ledger, scene.claims, scene.source, await scene.bank.account(scene.ann), "1"
    )
    assert on_new_accounts.transaction.created_at - first.transaction.created_at < timedelta(days=1)
    assert (await scene.ledger.verify()).holds


async def test_a_single_request_comes_between_the_chunks_of_bulk_work_on_its_account(ledger: Ledger) -> None:
    """Whatever other singles are under way, and however much of the bulk waits."""
    bank = await Bank.open(ledger)
    ann, bob = await bank.person(), await bank.person()
    source, target = await bank.account(ann, 1000), await bank.account(bob)
    other, another = await bank.account(bob, 1000), await bank.account(ann)
    committer, landed = ledger.transfers.committer, []
    committer.queue.max_batch = committer.queue.chunk = 5
    bulk = committer.enqueue_bulk(
        [transfer_request(token_of(ann), fresh_key(), source, target, Amount(1, 0)) for _ in range(300)],
        together=False,
    )
    bulk.add_done_callback(lambda _: landed.append("bulk"))

    async def pay_again_and_again() -> None:
        while not bulk.done():
            await send(ledger, token_of(bob), other, another, "1")

    others = [asyncio.create_task(pay_again_and_again()) for _ in range(4)]
    await until(lambda: committer.recent.committed > 0)
    assert codes([await send(ledger, token_of(ann), source, target, "1")]) == {"posted": 1}
    assert landed == []
    await asyncio.gather(bulk, *others)
    assert (await ledger.verify()).holds
