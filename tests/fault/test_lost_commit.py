"""A COMMIT whose answer is lost: done, not done, or not to be known; and nobody is told anything else.

Likewise the one statement of the short way, which is its own COMMIT. Either is settled under the lock.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from nostro.domain.account import AccountStatus
from nostro.domain.books import Posted
from nostro.domain.errors import NostroError
from nostro.domain.ids import ObjectId
from nostro.domain.user import Claims
from nostro.ledger.service import Ledger, open_ledger
from nostro.store import journal, optimistic
from nostro.store.users import User
from tests.client import Client
from tests.concurrency.bank import (
    RUPEES,
    Bank,
    as_a_batch_of_one,
    codes,
    fresh_key,
    send,
    token_of,
    ways_gone,
)
from tests.conftest import Service
from tests.fault.proxy import Fate, Proxy, in_a_thread

pytestmark = pytest.mark.anyio


@dataclass
class Scene:
    """Ann, her two accounts with 100 rupees on the first, and a ledger that sees the database by proxy."""

    proxy: Proxy
    url: str
    bank: Bank
    ann: User
    claims: Claims
    source: ObjectId
    target: ObjectId

    @property
    def ledger(self) -> Ledger:
        return self.bank.ledger

    def pay(self, key: str, rupees: str = "10") -> Awaitable[Posted | NostroError]:
        return send(self.ledger, self.claims, self.source, self.target, rupees, key)

    async def rows(self, key: str) -> int:
        """Asked directly, past the proxy."""
        connection = await asyncpg.connect(self.url)
        try:
            count = "SELECT count(*) FROM transactions WHERE idempotency_key = $1"
            return int(await connection.fetchval(count, key))
        finally:
            await connection.close()


@pytest.fixture(params=["alone", "as a batch", "under the lock"])
async def scene(
    database_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    """The short way in the form for one transfer, or for many; or the long way."""
    if request.param == "as a batch":
        as_a_batch_of_one(monkeypatch)
    async with Proxy(database_url).open() as proxy, open_ledger(proxy.url, house_currency=RUPEES) as ledger:
        ledger.transfers.committer.deadline_s = 1.5
        ledger.transfers.committer.optimistic = request.param != "under the lock"
        bank = await Bank.open(ledger)
        ann = await bank.person()
        accounts = [await bank.account(ann, 100), await bank.account(ann)]
        yield Scene(proxy, database_url, bank, ann, token_of(ann), *accounts)
        proxy.heal()
        assert (await ledger.verify()).holds


@pytest.mark.parametrize("fate", [Fate.ANSWER_LOST, Fate.REQUEST_LOST])
async def test_a_lost_commit_is_answered_with_the_truth(scene: Scene, fate: Fate) -> None:
    scene.proxy.fates = [fate]
    key = fresh_key()
    assert codes([await scene.pay(key)]) == {"posted": 1}
    assert scene.proxy.fates == []
    assert await scene.rows(key) == 1
    assert codes([await scene.pay(key)]) == {"replayed": 1}
    assert await scene.bank.balance(scene.target) == 1000


async def test_commits_lost_one_after_the_other_move_money_once(scene: Scene) -> None:
    scene.proxy.fates = [Fate.REQUEST_LOST, Fate.ANSWER_LOST, Fate.ANSWER_LOST]
    key = fresh_key()
    assert codes([await scene.pay(key)]) == {"posted": 1}
    assert scene.proxy.fates == []
    assert await scene.rows(key) == 1


async def test_everybody_in_a_lost_batch_gets_an_answer_of_their_own(scene: Scene) -> None:
    """Five for 30 from 100, and a key twice: the answers are those of a batch that was never lost."""
    scene.proxy.fates = [Fate.ANSWER_LOST]
    twice = fresh_key()
    keys = [twice, twice, fresh_key(), fresh_key(), fresh_key()]
    first, again, *others = await asyncio.gather(*(scene.pay(key, "30") for key in keys))
    assert codes([first, again]) == {"posted": 1, "replayed": 1}
    assert codes(others) == {"posted": 2, "insufficient_funds": 1}
    assert [await scene.rows(key) for key in keys[1:]] == [1, 1, 1, 0]


@pytest.mark.parametrize(("fate", "rows"), [(Fate.ANSWER_LOST, 1), (Fate.REQUEST_LOST, 0)])
@pytest.mark.parametrize("gone", [Proxy.go_away, Proxy.blackhole])
async def test_what_cannot_be_settled_in_time_is_unknown(
    scene: Scene, fate: Fate, rows: int, gone: Callable[[Proxy], None]
) -> None:
    scene.proxy.fates = [fate]
    scene.proxy.after_commit = lambda: gone(scene.proxy)
    key = fresh_key()
    assert codes([await scene.pay(key)]) == {"outcome_unknown": 1}
    assert await scene.rows(key) == rows
    scene.proxy.heal()
    assert codes([await scene.pay(key)]) == {"replayed" if rows else "posted": 1}
    assert await scene.rows(key) == 1


@pytest.mark.parametrize("gone", [Proxy.go_away, Proxy.blackhole])
async def test_without_a_database_nothing_is_done_and_that_is_said(
    scene: Scene, gone: Callable[[Proxy], None]
) -> None:
    gone(scene.proxy)
    keys = [fresh_key() for _ in range(20)]
    answers = codes(await asyncio.gather(*map(scene.pay, keys)))
    # The first batch is on the way; who came after it has waited for its turn.
    assert set(answers) <= {"database_unavailable", "overloaded"}
    assert answers["database_unavailable"] >= 1
    scene.proxy.heal()
    assert codes(await asyncio.gather(*(scene.pay(key, "1") for key in keys))) == {"posted": 20}


async def test_a_database_that_comes_back_in_time_costs_nobody_anything(scene: Scene) -> None:
    """Every connection is cut under a batch, and the server refuses new ones for a while."""
    scene.proxy.go_away()
    paid = asyncio.gather(*(scene.pay(fresh_key(), "1") for _ in range(20)))
    await asyncio.sleep(0.2)
    scene.proxy.heal()
    assert codes(await paid) == {"posted": 20}


async def test_a_slow_line_makes_larger_batches_and_nobody_fail(scene: Scene) -> None:
    """Each message takes 50 ms each way: half a second per batch, in which the next one gathers."""
    scene.ledger.transfers.committer.deadline_s = 5
    scene.proxy.delay_s = 0.05
    before = scene.proxy.commits
    first = asyncio.gather(*(scene.pay(fresh_key(), "1") for _ in range(30)))
    await asyncio.sleep(0.1)
    second = asyncio.gather(*(scene.pay(fresh_key(), "1") for _ in range(60)))
    assert codes(await first) == {"posted": 30}
    assert codes(await second) == {"posted": 60}
    assert scene.proxy.commits - before == 2
    scene.proxy.delay_s = 0


async def test_who_was_told_that_nothing_was_done_finds_nothing_done(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All before the last word takes longer than one waiter's deadline and not as long as its neighbour's.

    Told that nothing was done, the first must not find it done by the COMMIT that the neighbour waits for.
    """
    committer, told = scene.ledger.transfers.committer, asyncio.Event()

    def slowly(step: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def until_told(*arguments: Any) -> Any:
            done = await step(*arguments)
            await told.wait()
            return done

        return until_told

    # The last step before the last word is sent, on either way.
    monkeypatch.setattr(journal, "write_batch", slowly(journal.write_batch))
    monkeypatch.setattr(optimistic, "read_callers", slowly(optimistic.read_callers))
    committer.attempts.heads.forget_callers([scene.ann.id])
    hasty, patient = fresh_key(), fresh_key()
    committer.deadline_s = 0.3
    first = asyncio.create_task(scene.pay(hasty))
    await asyncio.sleep(0)
    committer.deadline_s = 5
    second = asyncio.create_task(scene.pay(patient))
    assert codes([await first]) == {"database_unavailable": 1}
    told.set()
    assert codes([await second]) == {"posted": 1}
    assert (await scene.rows(hasty), await scene.rows(patient)) == (0, 1)


@pytest.mark.parametrize("fate", [Fate.ANSWER_LOST, Fate.REQUEST_LOST])
async def test_what_was_lost_is_settled_under_the_lock_whichever_way_it_went(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, fate: Fate
) -> None:
    gone = ways_gone(monkeypatch)
    scene.proxy.fates = [fate]
    key = fresh_key()
    assert codes([await scene.pay(key)]) == {"posted": 1}
    first = "if_unchanged" if scene.ledger.transfers.committer.optimistic else "under_lock"
    assert gone == [first, "under_lock"]
    assert await scene.rows(key) == 1


@pytest.mark.parametrize("frozen", [False, True], ids=["done meanwhile", "refused meanwhile"])
async def test_a_statement_that_the_server_gets_after_it_was_settled_writes_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, *, frozen: bool
) -> None:
    """The connection is lost with the statement on its way, and the network delivers it when all is over."""
    bank = await Bank.open(ledger)
    ann = await bank.person()
    source, target = await bank.account(ann, 100), await bank.account(ann)
    write, late = optimistic.write_if_unchanged, []

    async def lose(connection: Any, *decided: Any) -> Any:
        late.append(decided)
        if frozen:
            await ledger.accounts.change_status(None, source, AccountStatus.FROZEN, "a court order")
        raise ConnectionResetError

    monkeypatch.setattr(optimistic, "write_if_unchanged", lose)
    answers = codes([await send(ledger, token_of(ann), source, target, "10")])
    assert answers == {"account_not_active" if frozen else "posted": 1}
    (decided,) = late
    connection = await ledger.database.acquire_committer()
    with pytest.raises(asyncpg.PostgresError) as caught:
        await write(connection, *decided)
    await ledger.database.release_committer(connection, broken=False)
    assert optimistic.is_stale(caught.value)
    assert await bank.balance(target) == (0 if frozen else 1000)
    assert (await ledger.verify()).holds


async def test_a_logout_does_not_undo_what_was_committed_before_it(scene: Scene) -> None:
    """The transfer is committed, its answer is lost, its token is logged out, and then it is settled."""
    scene.proxy.fates = [Fate.ANSWER_LOST]
    other = open_ledger(scene.url, house_currency=RUPEES)
    async with other as ledger:
        logged_out = asyncio.Event()

        async def log_out() -> None:
            await ledger.users.log_out(scene.claims)
            logged_out.set()
            scene.proxy.refuses = False

        def lose_the_database() -> None:
            scene.proxy.refuses = True
            tasks.append(asyncio.create_task(log_out()))

        tasks: list[asyncio.Task[None]] = []
        scene.proxy.after_commit = lose_the_database
        key = fresh_key()
        assert codes([await scene.pay(key)]) == {"posted": 1}
        assert logged_out.is_set()
        assert await scene.rows(key) == 1
        assert codes([await scene.pay(key)]) == {"token_invalid": 1}
        await asyncio.gather(*tasks)


async def test_the_lost_commit_of_a_registration_is_unknown_too(scene: Scene) -> None:
    scene.proxy.fates = [Fate.ANSWER_LOST]
    with pytest.raises(NostroError) as caught:
        await scene.ledger.users.register("bob@example.com", "correct horse", "Bob")
    assert caught.value.code == "outcome_unknown"
    assert (await scene.ledger.users.log_in("bob@example.com", "correct horse")).name == "Bob"


async def test_reads_survive_a_server_that_hung_up_on_every_connection(scene: Scene) -> None:
    await asyncio.gather(*(scene.ledger.ping() for _ in range(8)))
    scene.proxy.cut()
    await asyncio.sleep(0.05)
    await asyncio.gather(*(scene.ledger.ping() for _ in range(8)))


@pytest.mark.slow
async def test_a_server_that_went_away_without_a_goodbye_costs_one_read(scene: Scene) -> None:
    """Old connections lead nowhere, new ones are served: after one timeout none of the old is used again."""
    await asyncio.gather(*(scene.ledger.ping() for _ in range(8)))
    scene.proxy.strand()
    with pytest.raises(NostroError):
        await scene.ledger.ping()
    for _ in range(8):
        await scene.ledger.ping()


@pytest.mark.slow
def test_over_http_an_unknown_outcome_says_so_and_how_to_go_on(
    database_url: str, start_service: Callable[..., Service]
) -> None:
    with in_a_thread(database_url) as (proxy, call):
        service = start_service(NOSTRO_DATABASE_URL=proxy.url, NOSTRO_FOLLOWERS="off")
        made = service.command(
            *("user", "create", "--email", "system@example.com", "--name", "System", "--password", "-"),
            "--system",
            stdin="a system secret\n",
        )
        assert made.returncode == 0, made.stderr
        client = Client(service.url)
        system = client.log_in("system@example.com", "a system secret")
        ann = client.register("Ann")
        source, target = ann.open_account(), ann.open_account()
        assert system.fund(source, 100).status_code == 201

        call(proxy.go_away)
        unavailable = ann.send(source, target, 10, key="rent")
        call(proxy.heal)
        proxy.after_commit = proxy.go_away
        proxy.fates = [Fate.ANSWER_LOST]
        unknown = ann.send(source, target, 10, key="rent")
        call(proxy.heal)
        again = ann.send(source, target, 10, key="rent")

        assert (unavailable.status_code, unavailable.json()["code"]) == (503, "database_unavailable")
        assert (unknown.status_code, unknown.json()["code"]) == (503, "outcome_unknown")
        assert unknown.json()["outcome"] == "unknown"
        for answer in (unavailable, unknown):
            assert answer.json()["retryable"] is True
            assert int(answer.headers["retry-after"]) > 0
        assert again.status_code == 200
        assert again.headers["idempotency-replayed"] == "true"
        assert ann.balance(target) == 10
        client.close()
        assert service.stop() == 0
