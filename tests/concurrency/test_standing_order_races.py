"""Standing orders where processes meet: each occurrence is carried out once, none after it was called off."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from nostro.domain.errors import NotFound, StatusConflict
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount
from nostro.domain.posting import Posted
from nostro.domain.standing_order import CatchUp, OrderStatus, Retry, RunStatus, StandingOrder
from nostro.ledger.service import Ledger
from nostro.ledger.standing_orders import Changes, OrderTerms
from nostro.ledger.standing_orders_runner import AT_ONCE, StandingOrderRunner
from nostro.ledger.transfers import Transfers
from nostro.store import journal, standing_orders
from nostro.store.users import User
from tests.concurrency.bank import Bank, fresh_key, token_of, under_the_lock
from tests.concurrency.conftest import Rivals
from tests.concurrency.rendezvous import Rendezvous

pytestmark = pytest.mark.anyio

Patch = pytest.MonkeyPatch


@dataclass
class Scene:
    """Ann with 100 rupees and Bob with nothing, seen from two processes; Ann's orders pay Bob."""

    bank: Bank
    one: Ledger
    other: Ledger
    superuser: Any
    ann: User
    source: ObjectId
    target: ObjectId
    sound: bool = True  # what verify is to find in the end

    async def order(self, rupees: int = 10, **terms: Any) -> StandingOrder:
        """Due now, and every day, unless `terms` say otherwise."""
        given = {"every_days": 1} | terms
        asked = OrderTerms(fresh_key(), self.source, self.target, Amount(rupees, 0), **given)
        return (await self.one.standing_orders.create(self.ann.id, asked)).order

    async def now(self, order: StandingOrder) -> StandingOrder:
        return await self.one.standing_orders.by_id(order.id, self.ann.id)

    async def runs(self, order: StandingOrder) -> list[tuple[int, RunStatus, int, str | None]]:
        """In order: number, status, attempts, code."""
        runs = await self.one.standing_orders.runs(order.id, self.ann.id, before=None, limit=200)
        return [(run.occurrence, run.status, run.attempts, run.code) for run in reversed(runs)]

    async def received(self) -> int:
        """Bob's rupees."""
        return await self.bank.balance(self.target) // 100

    async def sql(self, statement: str, *values: object) -> Any:
        return await self.superuser.fetchval(statement, *values)

    async def let_time_pass(self, order: StandingOrder) -> None:
        """Its next attempt comes now, and so does the end of a lease."""
        await self.sql(
            "UPDATE standing_orders SET wakes_at = now(),"
            " leased_until = CASE WHEN mandate IS NOT NULL THEN now() END WHERE id = $1",
            order.id,
        )

    async def let_it_be_overdue(self, order: StandingOrder, minutes: int) -> None:
        """As if no process had run for so many minutes."""
        await self.sql(
            "UPDATE standing_orders SET starts_at = since, due_at = since, wakes_at = since FROM"
            " (SELECT date_trunc('minute', now()) - make_interval(mins => $2) AS since) AS m WHERE id = $1",
            order.id,
            minutes,
        )

    async def carry_out(self, ledger: Ledger | None = None) -> int:
        return await runner_of(ledger or self.one).carry_out_due()


def runner_of(ledger: Ledger) -> StandingOrderRunner:
    return StandingOrderRunner(ledger.database, ledger.transfers)


@pytest.fixture
async def scene(rivals: Rivals, database_url: str) -> AsyncIterator[Scene]:
    bank = await Bank.open(rivals[0])
    ann, bob = await bank.person(), await bank.person()
    superuser = await asyncpg.connect(database_url)
    scene = Scene(bank, *rivals, superuser, ann, await bank.account(ann, 100), await bank.account(bob))
    yield scene
    await superuser.close()
    assert (await rivals[0].verify()).holds is scene.sound


# ── carried out once ─────────────────────────────────────────────────────────────────────────────────


async def test_an_occurrence_is_carried_out_once_and_the_next_waits_its_day(scene: Scene) -> None:
    order = await scene.order()
    assert [await scene.carry_out() for _ in range(3)] == [1, 0, 0]
    assert await scene.received() == 10
    assert await scene.runs(order) == [(1, RunStatus.EXECUTED, 1, None)]
    left = await scene.now(order)
    assert order.due_at is not None
    assert (left.occurrence, left.due_at, left.mandate) == (2, order.due_at + timedelta(days=1), None)


async def test_two_processes_share_the_orders_and_carry_out_each_once(scene: Scene) -> None:
    orders = [await scene.order(rupees=1) for _ in range(40)]

    async def keep_at_it(ledger: Ledger) -> int:
        done = 0
        while found := await scene.carry_out(ledger):
            done += found
        return done

    assert sum(await asyncio.gather(keep_at_it(scene.one), keep_at_it(scene.other))) == 40
    assert await scene.received() == 40
    assert [await scene.runs(order) for order in orders] == [[(1, RunStatus.EXECUTED, 1, None)]] * 40


async def test_no_logout_and_no_new_password_stops_an_order(scene: Scene) -> None:
    await scene.order()
    await scene.one.users.log_out(token_of(scene.ann))
    await scene.sql("UPDATE users SET token_epoch = now() + interval '1 second' WHERE id = $1", scene.ann.id)
    await scene.carry_out()
    assert await scene.received() == 10


async def test_a_users_own_transfer_never_takes_the_place_of_an_occurrence(scene: Scene) -> None:
    """Their keys live in the same scope; no sound one is equal, and one that nearly is changes nothing."""
    order = await scene.order()
    await scene.one.transfers.transfer(
        token_of(scene.ann),
        key=order.run_key.replace("·", "-"),
        from_account=scene.source,
        to_account=scene.target,
        amount=Amount(10, 0),
    )
    await scene.carry_out()
    assert await scene.received() == 20


# ── lack of money ────────────────────────────────────────────────────────────────────────────────────


async def test_lack_of_money_is_tried_again_as_configured_and_then_succeeds(scene: Scene) -> None:
    order = await scene.order(rupees=150, retry=Retry(3, 60))
    await scene.carry_out()
    assert await scene.runs(order) == [(1, RunStatus.RETRYING, 1, "insufficient_funds")]
    assert await scene.carry_out() == 0, "the next attempt is an hour away"
    await scene.bank.fund(scene.source, 50)
    await scene.let_time_pass(order)
    await scene.carry_out()
    assert await scene.runs(order) == [(1, RunStatus.EXECUTED, 2, None)]
    assert await scene.received() == 150
    assert (await scene.now(order)).attempts == 0


async def test_after_the_last_attempt_the_occurrence_has_failed_and_the_order_goes_on(scene: Scene) -> None:
    order = await scene.order(rupees=150, retry=Retry(2, 60))
    for _ in range(2):
        await scene.let_time_pass(order)
        await scene.carry_out()
    assert await scene.runs(order) == [(1, RunStatus.FAILED, 2, "insufficient_funds")]
    assert (await scene.now(order)).status is OrderStatus.ACTIVE
    told = await scene.sql("SELECT details->>'code' FROM events WHERE kind = 'STANDING_ORDER_FAILED'")
    assert told == "insufficient_funds"


async def test_an_order_whose_account_was_closed_stops_for_good(scene: Scene) -> None:
    order = await scene.order()
    frozen = await scene.order()
    await scene.sql("UPDATE accounts SET status = 'FROZEN' WHERE id = $1", scene.target)
    await scene.let_time_pass(order)
    await scene.sql("UPDATE standing_orders SET wakes_at = now() + interval '1 hour' WHERE id = $1", order.id)
    await scene.carry_out()
    assert (await scene.now(frozen)).status is OrderStatus.ACTIVE
    await scene.sql("UPDATE accounts SET status = 'CLOSED' WHERE id = $1", scene.target)
    await scene.let_time_pass(order)
    await scene.carry_out()
    stopped = await scene.now(order)
    assert (stopped.status, stopped.failure_code) == (OrderStatus.FAILED, "account_not_active")
    assert await scene.runs(order) == [(1, RunStatus.FAILED, 1, "account_not_active")]


# ── missed, paused, ended ────────────────────────────────────────────────────────────────────────────


async def test_missed_occurrences_are_made_up_for_in_order_or_only_the_latest(scene: Scene) -> None:
    every = await scene.order(rupees=1, every_days=None, cron="* * * * *")
    latest = await scene.order(rupees=1, every_days=None, cron="* * * * *", catch_up=CatchUp.LATEST)
    await scene.let_it_be_overdue(every, 5)
    await scene.let_it_be_overdue(latest, 5)
    while await scene.carry_out():
        pass
    due = await scene.one.standing_orders.runs(every.id, None, before=None, limit=200)
    # The test may have run into the next minute.
    assert len(due) in {6, 7}
    assert [run.due_at - due[-1].due_at for run in reversed(due)] == [
        timedelta(minutes=nth) for nth in range(len(due))
    ]
    only = await scene.one.standing_orders.runs(latest.id, None, before=None, limit=200)
    assert len(only) in {1, 2}
    assert only[0].due_at >= due[-1].due_at + timedelta(minutes=5)


async def test_an_order_ends_after_its_times_and_at_its_end(scene: Scene) -> None:
    twice = await scene.order(rupees=1, every_days=None, cron="* * * * *", times=2)
    await scene.let_it_be_overdue(twice, 5)
    ending = await scene.order(rupees=1, every_days=None, cron="* * * * *")
    await scene.let_it_be_overdue(ending, 5)
    await scene.sql(
        "UPDATE standing_orders SET ends_at = due_at + interval '3 minutes' WHERE id = $1", ending.id
    )
    while await scene.carry_out():
        pass
    assert [len(await scene.runs(order)) for order in (twice, ending)] == [2, 4]
    assert {(await scene.now(order)).status for order in (twice, ending)} == {OrderStatus.COMPLETED}
    with pytest.raises(StatusConflict):
        await scene.one.standing_orders.resume(twice.id, scene.ann.id)


async def test_what_falls_due_during_a_pause_is_skipped(scene: Scene) -> None:
    order = await scene.order(rupees=1, every_days=None, cron="* * * * *")
    await scene.let_it_be_overdue(order, 5)
    paused = await scene.one.standing_orders.pause(order.id, scene.ann.id)
    assert (paused.status, paused.due_at) == (OrderStatus.PAUSED, None)
    assert await scene.carry_out() == 0
    resumed = await scene.one.standing_orders.resume(order.id, scene.ann.id)
    now = await scene.sql("SELECT now()")
    assert resumed.due_at is not None
    assert now - timedelta(seconds=1) < resumed.due_at <= now + timedelta(minutes=1)
    assert await scene.runs(order) == []


async def test_a_pause_gives_up_an_occurrence_that_waits_for_money(scene: Scene) -> None:
    order = await scene.order(rupees=150)
    await scene.carry_out()
    await scene.one.standing_orders.pause(order.id, scene.ann.id)
    resumed = await scene.one.standing_orders.resume(order.id, scene.ann.id)
    assert await scene.runs(order) == [(1, RunStatus.SKIPPED, 1, "insufficient_funds")]
    assert (resumed.occurrence, resumed.attempts) == (2, 0)


async def test_an_order_is_nobodys_business_but_its_owners(scene: Scene) -> None:
    order, bob = await scene.order(), await scene.bank.person()
    for act in (scene.one.standing_orders.pause, scene.one.standing_orders.cancel):
        with pytest.raises(NotFound):
            await act(order.id, bob.id)
    assert (await scene.now(order)).status is OrderStatus.ACTIVE


# ── called off while a process is at it ──────────────────────────────────────────────────────────────
# A process has claimed the order and is stopped, for any length of time, before it sends the transfer.
# Meanwhile the owner cancels, pauses or changes the order, or another process takes over and settles it.
# When the first one wakes, what it sends must move nothing: its mandate has been revoked.

Act = Callable[[Scene, StandingOrder], Awaitable[Any]]


async def _cancel(scene: Scene, order: StandingOrder) -> None:
    await scene.other.standing_orders.cancel(order.id, scene.ann.id)


async def _pause(scene: Scene, order: StandingOrder) -> None:
    await scene.other.standing_orders.pause(order.id, scene.ann.id)


async def _halve(scene: Scene, order: StandingOrder) -> None:
    await scene.other.standing_orders.amend(order.id, scene.ann.id, Changes(amount=Amount(5, 0)))


async def _settle_as_failed(scene: Scene, order: StandingOrder) -> None:
    """The account is frozen when the other process tries, and thawed before the first one wakes."""
    await scene.sql("UPDATE accounts SET status = 'FROZEN' WHERE id = $1", scene.source)
    await scene.let_time_pass(order)
    assert await scene.carry_out(scene.other) == 1
    await scene.sql("UPDATE accounts SET status = 'ACTIVE' WHERE id = $1", scene.source)


@dataclass(frozen=True)
class Stopped(Transfers):
    """The transfers of a process that is stopped just before it sends one, until it is let go on."""

    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def transfer(self, *arguments: Any, **named: Any) -> Posted:
        self.stopped.set()
        await self.go_on.wait()
        return await super().transfer(*arguments, **named)


async def stopped_on_the_way(scene: Scene, meanwhile: Act) -> StandingOrder:
    order = await scene.order()
    transfers = Stopped(scene.one.transfers.database, scene.one.transfers.committer)
    sleeper = asyncio.create_task(StandingOrderRunner(scene.one.database, transfers).carry_out_due())
    await transfers.stopped.wait()
    await meanwhile(scene, order)
    transfers.go_on.set()
    assert await sleeper == 1
    return order


@pytest.mark.parametrize("meanwhile", [_cancel, _pause, _halve, _settle_as_failed])
async def test_who_was_stopped_on_the_way_moves_nothing_after_a_change(scene: Scene, meanwhile: Act) -> None:
    order = await stopped_on_the_way(scene, meanwhile)
    assert await scene.received() == 0
    left = await scene.now(order)
    assert left.mandate is None
    if meanwhile is _halve:
        await scene.carry_out(scene.other)
        assert await scene.received() == 5


@pytest.mark.parametrize("meanwhile", [_cancel, _pause])
async def test_without_the_revocation_it_moves_money_after_the_change(
    scene: Scene, monkeypatch: Patch, meanwhile: Act
) -> None:
    async def forgotten(*_: object) -> None: ...

    monkeypatch.setattr(standing_orders, "revoke_mandate", forgotten)
    order = await stopped_on_the_way(scene, meanwhile)
    assert await scene.received() == 10
    assert await scene.runs(order) == []
    scene.sound = False


@pytest.mark.parametrize("act", [_cancel, _pause, _halve])
async def test_a_change_that_meets_the_transfer_waits_for_it_and_writes_it_down(
    scene: Scene, database_url: str, monkeypatch: Patch, act: Act
) -> None:
    """The transfer has been decided and holds the account's lock; the change comes before it is committed."""
    under_the_lock(scene.one)
    order, decided, write_batch = await scene.order(), asyncio.Event(), journal.write_batch
    async with Rendezvous(database_url) as meeting:

        async def held(*arguments: Any) -> None:
            decided.set()
            await meeting.arrive()
            await write_batch(*arguments)

        monkeypatch.setattr(journal, "write_batch", held)
        carrying = asyncio.create_task(scene.carry_out())
        await decided.wait()
        await asyncio.gather(carrying, act(scene, order))
    assert await scene.received() == 10
    assert await scene.runs(order) == [(1, RunStatus.EXECUTED, 1, None)]
    left = await scene.now(order)
    assert (left.occurrence, left.mandate) == (2, None)
    assert left.status.value == {_cancel: "CANCELLED", _pause: "PAUSED", _halve: "ACTIVE"}[act]


@pytest.mark.parametrize("optimistic", [True, False], ids=["if unchanged", "under the lock"])
@pytest.mark.parametrize("act", [_cancel, _pause])
async def test_a_change_that_the_transfer_meets_lets_nothing_move_after_it(
    scene: Scene, database_url: str, monkeypatch: Patch, act: Act, *, optimistic: bool
) -> None:
    """The change has the account's lock and has revoked the mandate, when the transfer comes and waits for it.

    What the transfer does then it must decide on what it finds then, not on what it saw when it began to wait.
    """
    scene.one.transfers.committer.optimistic = optimistic
    order, revoke = await scene.order(), standing_orders.revoke_mandate
    transfers = Stopped(scene.one.transfers.database, scene.one.transfers.committer)
    carrying = asyncio.create_task(StandingOrderRunner(scene.one.database, transfers).carry_out_due())
    await transfers.stopped.wait()
    async with Rendezvous(database_url) as meeting:

        async def revoke_and_meet(*arguments: Any) -> None:
            await revoke(*arguments)
            transfers.go_on.set()
            await meeting.until(lambda: False)

        monkeypatch.setattr(standing_orders, "revoke_mandate", revoke_and_meet)
        await act(scene, order)
    assert await carrying == 1
    assert await scene.received() == 0
    assert await scene.runs(order) == []


async def test_what_a_dead_process_left_is_found_done_and_not_done_again(scene: Scene) -> None:
    """It moved the money and died before it wrote that down."""
    order = await scene.order()

    class Dying(Transfers):
        async def transfer(self, *arguments: Any, **named: Any) -> Posted:
            await super().transfer(*arguments, **named)
            raise RuntimeError("the process ends here")

    dying = Dying(scene.one.transfers.database, scene.one.transfers.committer)
    await StandingOrderRunner(scene.one.database, dying).carry_out_due()
    assert (await scene.runs(order), await scene.received()) == ([], 10)
    assert await scene.carry_out(scene.other) == 0, "its lease has not ended"
    await scene.let_time_pass(order)
    assert await scene.carry_out(scene.other) == 1
    assert (await scene.runs(order), await scene.received()) == ([(1, RunStatus.EXECUTED, 1, None)], 10)


async def test_one_order_that_cannot_be_settled_holds_up_no_other(scene: Scene) -> None:
    orders = [await scene.order(rupees=1) for _ in range(AT_ONCE)]

    class Choosy(Transfers):
        async def transfer(self, *arguments: Any, **named: Any) -> Posted:
            if named["key"] == orders[3].run_key:
                raise RuntimeError("something nobody thought of")
            return await super().transfer(*arguments, **named)

    choosy = Choosy(scene.one.transfers.database, scene.one.transfers.committer)
    await StandingOrderRunner(scene.one.database, choosy).carry_out_due()
    assert await scene.received() == AT_ONCE - 1


async def test_one_key_makes_one_order_however_often_it_is_sent_at_once(scene: Scene) -> None:
    asked = OrderTerms("rent", scene.source, scene.target, Amount(1, 0), every_months=1)
    made = await asyncio.gather(
        *(ledger.standing_orders.create(scene.ann.id, asked) for ledger in (scene.one, scene.other) * 6)
    )
    assert len({one.order.id for one in made}) == 1
    assert sorted(one.replayed for one in made) == [False] + [True] * 11
