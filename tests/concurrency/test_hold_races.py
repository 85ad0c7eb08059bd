"""Races about holds, reversals, limits and closed periods, with two processes' committers on one database.

Each race brings two requests about the same money to the same place: both have read, neither has written. As
the ledger is, the second waits for the first one's lock and then reads what it left. Without the lock both go
on with what they have read, and the harm shows: a wrong answer, or books that do not verify.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from nostro.domain.account import AccountStatus
from nostro.domain.books import Posted
from nostro.domain.errors import NostroError
from nostro.domain.ids import ObjectId
from nostro.domain.money import parse_amount
from nostro.domain.requests import Terms
from nostro.domain.transaction import Operation
from nostro.ledger.follow_ups import follow_up_request
from nostro.ledger.service import Ledger
from nostro.store import journal
from nostro.store.queries import SQL
from tests.concurrency.bank import Bank, codes, fresh_key, send, token_of, under_the_lock
from tests.concurrency.conftest import Rivals
from tests.concurrency.rendezvous import Rendezvous, meeting_before

pytestmark = pytest.mark.anyio

Patch = pytest.MonkeyPatch
Answers = dict[str, int]


async def superuser(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def without_the_lock(patch: Patch, lock: str = "FOR NO KEY UPDATE", *queries: str) -> None:
    for query in queries or ("lock_accounts", "lock_accounts_about"):
        unlocked = SQL[query].replace(lock, "")
        assert unlocked != SQL[query]
        patch.setitem(SQL, query, unlocked)


async def answered(asked: Awaitable[Posted]) -> Posted | NostroError:
    try:
        return await asked
    except NostroError as refusal:
        return refusal


class Scene:
    """Ann with 100 rupees and Bob, who may receive; two ledgers; and the ways to ask either of them."""

    def __init__(self, rivals: Rivals, url: str) -> None:
        self.rivals, self.url = rivals, url

    async def prepare(self) -> "Scene":
        self.bank = await Bank.open(self.rivals[0])
        self.ann, self.bob = await self.bank.person(), await self.bank.person()
        self.source, self.target = await self.bank.account(self.ann, 100), await self.bank.account(self.bob)
        under_the_lock(*self.rivals)
        return self

    async def hold(self, rupees: str = "60", expires_in_s: int | None = None) -> ObjectId:
        posted = await self.rivals[0].transfers.transfer(
            token_of(self.ann),
            key=fresh_key(),
            from_account=self.source,
            to_account=self.target,
            amount=parse_amount(rupees),
            terms=Terms(hold=True, expires_in_s=expires_in_s),
        )
        return posted.transaction.id

    async def about(
        self, ledger: Ledger, operation: Operation, parent: ObjectId, amount: str | None = None
    ) -> Posted | NostroError:
        """As Bob, who received or may receive."""
        request = follow_up_request(
            operation, token_of(self.bob), parent, amount=parse_amount(amount) if amount else None
        )
        return await answered(ledger.follow_ups.ask(request))

    async def pay(self, ledger: Ledger, rupees: str) -> Posted | NostroError:
        return await send(ledger, token_of(self.ann), self.source, self.target, rupees)

    async def meet(self, patch: Patch, *asked: Callable[[], Awaitable[Any]]) -> Answers:
        """All at once; each waits before it writes until the others are there, or wait for a lock."""
        async with Rendezvous(self.url) as meeting:
            patch.setattr(journal, "write_batch", meeting_before(journal.write_batch, meeting))
            return codes([o for o in await asyncio.gather(*(ask() for ask in asked)) if o is not None])

    async def held(self) -> tuple[int, int]:
        """Ann's balance and what of it is held, in minor units."""
        row = await self.rivals[0].accounts.by_id(self.source)
        return row.balance, row.held

    async def is_healthy(self) -> bool:
        return (await self.rivals[0].verify()).holds


@pytest.fixture
async def scene(rivals: Rivals, database_url: str) -> Scene:
    return await Scene(rivals, database_url).prepare()


# ── capture against void ─────────────────────────────────────────────────────────────────────────────
# Bob captures a hold in one process and voids it in another. Both find it pending. One of them must lose.


async def capture_against_void(scene: Scene, patch: Patch) -> Answers:
    hold = await scene.hold()
    one, other = scene.rivals
    return await scene.meet(
        patch,
        lambda: scene.about(one, Operation.CAPTURE, hold),
        lambda: scene.about(other, Operation.VOID, hold),
    )


async def test_a_hold_is_captured_or_voided_never_both(scene: Scene, monkeypatch: Patch) -> None:
    answers = await capture_against_void(scene, monkeypatch)
    assert answers in ({"posted": 1, "already_captured": 1}, {"posted": 1, "already_voided": 1})
    assert await scene.held() in {(4000, 0), (10_000, 0)}
    assert await scene.is_healthy()


async def test_without_the_lock_a_hold_is_captured_and_voided(scene: Scene, monkeypatch: Patch) -> None:
    without_the_lock(monkeypatch)
    answers = await capture_against_void(scene, monkeypatch)
    assert answers == {"posted": 2}
    assert not await scene.is_healthy()


# ── two captures ─────────────────────────────────────────────────────────────────────────────────────
# Of 60 held, two processes capture 40 each. Each finds 60 left; together they would take 80.


async def capture_twice(scene: Scene, patch: Patch) -> Answers:
    hold = await scene.hold("60")
    return await scene.meet(
        patch, *(lambda one=one: scene.about(one, Operation.CAPTURE, hold, "40") for one in scene.rivals)
    )


async def test_two_captures_never_take_more_than_was_held(scene: Scene, monkeypatch: Patch) -> None:
    assert await capture_twice(scene, monkeypatch) == {"posted": 1, "exceeds_held_amount": 1}
    assert await scene.held() == (6000, 2000)
    assert await scene.is_healthy()


async def test_without_the_lock_the_database_still_refuses_the_second_capture(
    scene: Scene, monkeypatch: Patch
) -> None:
    without_the_lock(monkeypatch)
    answers = await capture_twice(scene, monkeypatch)
    assert answers["posted"] == 1
    assert await scene.is_healthy()


# ── capture against expiry ───────────────────────────────────────────────────────────────────────────
# A hold's time is over just when it is captured. The sweeper and the capture both write its EXPIRY, or one does
# and the other finds it written. It is let go once, and the capture is refused.


async def test_an_expiry_is_written_once_whoever_comes_first(scene: Scene, monkeypatch: Patch) -> None:
    hold = await scene.hold(expires_in_s=1)
    await superuser(scene.url, "SELECT pg_sleep(1.1)")
    one, other = scene.rivals

    async def sweep() -> None:
        await other.sweep_holds()

    answers = await scene.meet(monkeypatch, lambda: scene.about(one, Operation.CAPTURE, hold), sweep)
    assert answers == {"hold_expired": 1}
    assert await scene.held() == (10_000, 0)
    related = await one.transfers.about((await one.transfers.by_id(hold, None)).transaction)
    assert [row.kind.value for row in related] == ["EXPIRY"]
    assert await scene.is_healthy()


# ── the last money: held and spent ───────────────────────────────────────────────────────────────────


async def hold_and_spend(scene: Scene, patch: Patch) -> Answers:
    one, other = scene.rivals
    held = {"from_account": scene.source, "to_account": scene.target, "amount": parse_amount("100")}

    async def hold() -> Posted | NostroError:
        terms = Terms(hold=True)
        asked = one.transfers.transfer(token_of(scene.ann), key=fresh_key(), terms=terms, **held)
        return await answered(asked)

    return await scene.meet(patch, hold, lambda: scene.pay(other, "100"))


async def test_the_last_money_is_held_or_spent(scene: Scene, monkeypatch: Patch) -> None:
    assert await hold_and_spend(scene, monkeypatch) == {"posted": 1, "insufficient_funds": 1}
    assert await scene.held() in {(0, 0), (10_000, 10_000)}
    assert await scene.is_healthy()


async def test_without_lock_and_constraint_the_last_money_is_held_and_spent(
    scene: Scene, monkeypatch: Patch
) -> None:
    without_the_lock(monkeypatch)
    await superuser(scene.url, "ALTER TABLE accounts DROP CONSTRAINT accounts_not_below_floor")
    assert await hold_and_spend(scene, monkeypatch) == {"posted": 2}
    assert not await scene.is_healthy()


# ── two reversals ────────────────────────────────────────────────────────────────────────────────────
# Bob refunds all of a payment in two processes at once, or all of it in one and half of it in the other.


async def reverse_twice(scene: Scene, patch: Patch, second: str | None) -> Answers:
    paid = await scene.pay(scene.rivals[0], "50")
    assert isinstance(paid, Posted)
    await scene.pay(scene.rivals[0], "50")  # so that Bob could pay back twice
    one, other = scene.rivals
    moved = paid.transaction.id
    return await scene.meet(
        patch,
        lambda: scene.about(one, Operation.REVERSE, moved),
        lambda: scene.about(other, Operation.REVERSE, moved, second),
    )


@pytest.mark.parametrize("second", [None, "25"])
async def test_a_payment_flows_back_once(scene: Scene, monkeypatch: Patch, second: str | None) -> None:
    answers = await reverse_twice(scene, monkeypatch, second)
    assert answers["posted"] == 1
    assert answers.keys() <= {"posted", "already_reversed", "exceeds_reversible_amount"}
    assert await scene.is_healthy()


async def test_without_lock_and_chain_a_payment_flows_back_twice(scene: Scene, monkeypatch: Patch) -> None:
    without_the_lock(monkeypatch)
    await superuser(scene.url, "ALTER TABLE entries DROP CONSTRAINT entries_pkey")
    assert await reverse_twice(scene, monkeypatch, None) == {"posted": 2}
    assert not await scene.is_healthy()


# ── a limit and two spends ───────────────────────────────────────────────────────────────────────────
# Ann may pay 50 a day. Two processes are asked for 40 each; each finds that nothing was paid yet.


async def spend_to_the_limit(scene: Scene, patch: Patch) -> Answers:
    account = f"'\\x{scene.source.hex()}'"
    await superuser(
        scene.url,
        f"INSERT INTO limits (account_id, day_limit) VALUES ({account}, 5000)",
        f"UPDATE accounts SET limited = true WHERE id = {account}",
    )
    return await scene.meet(patch, *(lambda one=one: scene.pay(one, "40") for one in scene.rivals))


async def test_two_spends_at_once_keep_within_the_limit(scene: Scene, monkeypatch: Patch) -> None:
    assert await spend_to_the_limit(scene, monkeypatch) == {"posted": 1, "limit_exceeded": 1}
    assert await scene.is_healthy()


async def test_without_lock_and_chain_the_limit_is_overstepped(scene: Scene, monkeypatch: Patch) -> None:
    without_the_lock(monkeypatch)
    await superuser(scene.url, "ALTER TABLE entries DROP CONSTRAINT entries_pkey")
    assert await spend_to_the_limit(scene, monkeypatch) == {"posted": 2}


# ── a hold on an account that is being closed ────────────────────────────────────────────────────────
# Bob's account is empty and about to be closed, when money arrives in it (test_races.py has more).


async def test_an_account_is_not_closed_under_a_capture(scene: Scene, monkeypatch: Patch) -> None:
    hold = await scene.hold("60")
    one, other = scene.rivals

    async def close() -> None:
        with pytest.raises(NostroError, match="balance is 0"):
            await other.accounts.change_status(None, scene.target, AccountStatus.CLOSED, "a test")

    write_batch, about_to_write = journal.write_batch, asyncio.Event()
    async with Rendezvous(scene.url) as meeting:

        async def write_once_the_closing_waits(connection: Any, books: Any) -> None:
            about_to_write.set()
            await meeting.until(lambda: False)
            await write_batch(connection, books)

        monkeypatch.setattr(journal, "write_batch", write_once_the_closing_waits)
        capture = asyncio.create_task(scene.about(one, Operation.CAPTURE, hold))
        await about_to_write.wait()
        closing = asyncio.create_task(close())
        answers = codes([await capture])
        await closing
    assert answers == {"posted": 1}
    assert await scene.is_healthy()


# ── a closed period ──────────────────────────────────────────────────────────────────────────────────
# A book is closed while a transfer that happened before is on its way. Either the transfer is recorded first,
# or it is refused; never is it recorded after the book was said to be closed.


async def backdate_while_closing(scene: Scene, patch: Patch) -> tuple[Answers, bool]:
    """The answer, and whether the late transfer was written while the closing was done already."""
    one, _ = scene.rivals
    happened = (await one.accounts.by_id(scene.source)).created_at
    terms = Terms(effective_at=happened)
    write_batch, closed = journal.write_batch, asyncio.Event()
    await superuser(scene.url, "INSERT INTO period_locks VALUES ('INR', '2000-01-01', now())")

    async def close() -> None:
        await superuser(scene.url, "UPDATE period_locks SET closed_until = now()")
        closed.set()

    wrote_late = False

    async def write_after_the_closing_had_its_chance(connection: Any, books: Any) -> None:
        nonlocal wrote_late
        async with Rendezvous(scene.url) as meeting:
            closing = asyncio.create_task(close())
            await meeting.until(closed.is_set)
            wrote_late = closed.is_set()
            tasks.append(closing)
        await write_batch(connection, books)

    tasks: list[asyncio.Task[None]] = []
    patch.setattr(journal, "write_batch", write_after_the_closing_had_its_chance)
    outcome = await answered(
        one.transfers.transfer(
            token_of(scene.ann),
            key=fresh_key(),
            from_account=scene.source,
            to_account=scene.target,
            amount=parse_amount("1"),
            terms=terms,
        )
    )
    await asyncio.gather(*tasks)
    return codes([outcome]), wrote_late


async def test_nothing_is_backdated_into_a_period_that_was_closed_first(
    scene: Scene, monkeypatch: Patch
) -> None:
    answers, wrote_late = await backdate_while_closing(scene, monkeypatch)
    assert answers == {"posted": 1}
    assert not wrote_late


async def test_without_the_lock_on_the_book_a_closed_period_changes(scene: Scene, monkeypatch: Patch) -> None:
    without_the_lock(monkeypatch, "FOR SHARE", "closed_books")
    answers, wrote_late = await backdate_while_closing(scene, monkeypatch)
    assert answers == {"posted": 1}
    assert wrote_late
