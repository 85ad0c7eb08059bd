"""A process decides on what it remembers, and another one has changed it: no harm is ever done.

`here` remembers Ann's accounts; `elsewhere` is the other process, which locks first. What is remembered is only
what is tried: the one statement that writes it finds out whether it still holds, and the batch is decided
again under the lock when it does not. Each guard of that statement is also taken away, to see the harm.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from nostro.domain.account import Account, AccountStatus
from nostro.domain.books import Outcome, Posted
from nostro.domain.errors import InsufficientFunds, LimitExceeded, NostroError
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount, parse_amount
from nostro.domain.requests import LegWish, Request, Terms
from nostro.domain.transaction import Operation
from nostro.domain.user import Caller, Claims, Role
from nostro.ledger.follow_ups import follow_up_request
from nostro.ledger.heads import LONGEST_MISTRUST, Heads
from nostro.ledger.service import Ledger
from nostro.ledger.transfers import transfer_request
from nostro.store import optimistic, users
from nostro.store.optimistic import Head, KnownCaller
from nostro.store.queries import SQL
from nostro.store.users import User
from tests.concurrency.bank import Bank, codes, fresh_key, send, token_of, under_the_lock, ways_gone
from tests.concurrency.conftest import MANY, ONE, Rivals
from tests.concurrency.rendezvous import until_some_wait
from tests.concurrency.test_races import as_superuser, debits_after_the_freeze

pytestmark = pytest.mark.anyio

Patch = pytest.MonkeyPatch

# The guards of the statement, and what stands for each in the text of its two forms.
_VERSIONS = (" AND a.xmin = n.version", "a.ctid = n.ctid AND ")
OF_ACCOUNTS = {MANY: _VERSIONS, ONE: _VERSIONS}
OF_CALLERS = {
    MANY: ("$9::text::bytea[]", "$10::text::xid[]"),
    ONE: ("ARRAY[$10::bytea]", "ARRAY[$11::text::xid]"),
}
OF_TOKENS = {MANY: ("$11::text::bytea[]",), ONE: ("ARRAY[$12::bytea]",)}
OF_HOLDS = {MANY: ("$12::text::bytea[]",)}
OF_REFUSED_KEYS = {MANY: ("$34::text::text[]",)}
_CHAIN = "ALTER TABLE entries DROP CONSTRAINT entries_pkey"


def without(patch: Patch, guard: dict[str, tuple[str, ...]]) -> None:
    """Without that guard: it is not there, or has nothing to look at. What it asks for is still sent."""
    for form, texts in guard.items():
        statement = SQL[form]
        for asked in texts:
            assert asked in statement
            statement = statement.replace(asked, _nothing_for(asked))
        patch.setitem(SQL, form, statement)


def _nothing_for(asked: str) -> str:
    if "$" not in asked:
        return ""
    if asked.startswith("ARRAY["):
        return f"array_remove({asked}, {asked.removeprefix('ARRAY[').removesuffix(']')})"
    number, _, kind = asked.rpartition("::")
    return f"(CASE WHEN {number} IS NOT NULL THEN '{{}}' END)::{kind}"


@dataclass
class Scene:
    """Ann, her account with 100 rupees and one without, twice; `tried`: what became of what was tried here."""

    here: Ledger
    elsewhere: Ledger
    bank: Bank
    ann: User
    claims: Claims
    source: ObjectId
    target: ObjectId
    rich: ObjectId
    poor: ObjectId
    tried: list[str] = field(default_factory=list)

    @property
    def heads(self) -> Heads:
        return self.here.transfers.committer.attempts.heads

    async def pay(self, rupees: str, key: str | None = None, ledger: Ledger | None = None) -> Any:
        return await send(ledger or self.here, self.claims, self.source, self.target, rupees, key)

    async def pay_beside(self, rupees: str, key: str | None = None) -> list[Any]:
        """The outcome of a payment, and of one that is in one batch with it here and cannot be refused."""
        return await asyncio.gather(
            self.pay(rupees, key), send(self.here, self.claims, self.rich, self.poor, "1")
        )

    async def remember(self) -> None:
        """Here all accounts are moved on the short way, and as they are then they are remembered."""
        for source, target in ((self.source, self.target), (self.rich, self.poor)):
            assert codes([await send(self.here, self.claims, source, target, "1")]) == {"posted": 1}
            assert codes([await send(self.here, self.claims, target, source, "1")]) == {"posted": 1}
        assert self.tried == ["written"] * 4
        self.tried.clear()

    def wish(
        self, source: ObjectId, target: ObjectId, rupees: str, terms: Terms | None = None, key: str = ""
    ) -> Request:
        amount = parse_amount(rupees)
        return transfer_request(self.claims, key or fresh_key(), source, target, amount, terms=terms or Terms())

    async def hold(self, rupees: str, ledger: Ledger | None = None, expires_in_s: int | None = None) -> Any:
        terms = Terms(hold=True, expires_in_s=expires_in_s)
        asked = self.wish(self.source, self.target, rupees, terms)
        return await (ledger or self.here).transfers.committer.submit(asked)

    async def is_healthy(self) -> bool:
        return (await self.here.verify()).holds


async def opened(rivals: Rivals, patch: Patch) -> Scene:
    here, elsewhere = rivals
    under_the_lock(elsewhere)
    bank = await Bank.open(elsewhere)
    ann = await bank.person()
    accounts = [await bank.account(ann, rupees) for rupees in (100, 0, 100, 0)]
    scene = Scene(here, elsewhere, bank, ann, token_of(ann), *accounts)
    watch(patch, scene.tried)
    await scene.remember()
    return scene


@pytest.fixture
async def scene(rivals: Rivals, monkeypatch: Patch, form: str) -> Scene:
    return await opened(rivals, monkeypatch)


async def test_a_transfer_alone_leaves_the_rows_of_one_in_a_batch(scene: Scene, database_url: str) -> None:
    assert codes([await scene.pay("2.50"), *await scene.pay_beside("2.50")]) == {"posted": 3}
    assert scene.tried == ["written"] * 2
    beside, alone = await last_two_payments(database_url, scene.source)
    assert alone == beside
    assert alone["amount"] == 250
    assert alone["sides"] == [("DEBIT", scene.source, 250), ("CREDIT", scene.target, 250)]
    assert [await scene.bank.balance(account) for account in (scene.source, scene.target)] == [9500, 500]
    assert await scene.is_healthy()


async def last_two_payments(url: str, payer: ObjectId) -> list[dict[str, Any]]:
    """The newest first: every column but those that tell one from the other, and both sides."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(
        "SELECT * FROM transactions WHERE from_account = $1 ORDER BY position DESC LIMIT 2", payer
    )
    told = [dict(row) for row in rows]
    for payment in told:
        sides = await connection.fetch(
            "SELECT direction_name(direction), account_id, amount FROM entries WHERE position = $1"
            " AND created_at = $2 AND effective_at IS NULL ORDER BY direction DESC",
            payment.pop("position"),
            payment.pop("created_at"),
        )
        payment["sides"] = [tuple(side) for side in sides]
        del payment["id"], payment["idempotency_key"]
    await connection.close()
    return told


def watch(patch: Patch, tried: list[str]) -> None:
    """Note what becomes of everything that is tried on the short way."""
    write = optimistic.write_if_unchanged

    async def write_and_note(*arguments: Any) -> Any:
        try:
            written = await write(*arguments)
        except asyncpg.PostgresError as error:
            tried.append("stale" if optimistic.is_stale(error) else type(error).__name__)
            raise
        tried.append("written")
        return written

    patch.setattr(optimistic, "write_if_unchanged", write_and_note)


async def test_what_nobody_changed_is_written_with_one_statement(scene: Scene) -> None:
    assert codes([await scene.pay("10") for _ in range(3)]) == {"posted": 3}
    assert scene.tried == ["written"] * 3
    assert await scene.bank.balance(scene.target) == 3000
    assert await scene.is_healthy()


# ── spent elsewhere ──────────────────────────────────────────────────────────────────────────────────
# 100 are remembered; 90 of them were spent in the other process. Whoever pays 50 here must be refused.


async def spend_here_what_was_spent_elsewhere(scene: Scene) -> Any:
    assert codes([await scene.pay("90", ledger=scene.elsewhere)]) == {"posted": 1}
    return await scene.pay("50")


async def test_money_spent_elsewhere_is_not_spent_again(scene: Scene) -> None:
    refusal = await spend_here_what_was_spent_elsewhere(scene)
    assert isinstance(refusal, InsufficientFunds)
    assert (refusal.facts["required"], refusal.facts["available"]) == (5000, 1000)
    assert scene.tried == ["stale"]
    assert await scene.bank.balance(scene.source) == 1000
    assert await scene.is_healthy()


async def test_without_the_versions_the_database_still_refuses_the_second_spend(
    scene: Scene, monkeypatch: Patch
) -> None:
    without(monkeypatch, OF_ACCOUNTS)
    assert codes([await spend_here_what_was_spent_elsewhere(scene)]) == {"insufficient_funds": 1}
    assert scene.tried == ["UniqueViolationError"]
    assert await scene.is_healthy()


async def test_without_versions_and_chain_the_money_is_spent_twice(
    scene: Scene, database_url: str, monkeypatch: Patch
) -> None:
    without(monkeypatch, OF_ACCOUNTS)
    await as_superuser(database_url, _CHAIN)
    assert codes([await spend_here_what_was_spent_elsewhere(scene)]) == {"posted": 1}
    assert not await scene.is_healthy()


async def test_a_spend_that_is_waited_for_counts_too(
    scene: Scene, database_url: str, monkeypatch: Patch
) -> None:
    """The statement has begun, and looked, when it has to wait for the other process, which commits then."""
    held = await asyncpg.connect(database_url)
    transaction = held.transaction()
    await transaction.start()
    await held.execute("SELECT FROM accounts WHERE id = $1 FOR NO KEY UPDATE", scene.source)
    spends = asyncio.gather(*(scene.pay("100", ledger=one) for one in (scene.elsewhere, scene.here)))
    await until_some_wait(held, 2)
    await transaction.rollback()
    await held.close()
    assert codes(await spends) == {"posted": 1, "insufficient_funds": 1}
    assert await scene.is_healthy()


# ── stopped elsewhere ────────────────────────────────────────────────────────────────────────────────
# An account was frozen, blocked or closed in the other process, and its owner was told so.


async def stop_elsewhere(scene: Scene, account: ObjectId, status: AccountStatus) -> None:
    await scene.elsewhere.accounts.change_status(None, account, status, "a court order")


@pytest.mark.parametrize("what", ["pay", "hold"])
@pytest.mark.parametrize(
    ("which", "status"),
    [
        ("source", AccountStatus.FROZEN),
        ("source", AccountStatus.INACTIVE),
        ("target", AccountStatus.FROZEN),
        ("target", AccountStatus.CLOSED),
    ],
)
async def test_an_account_that_was_stopped_elsewhere_neither_pays_nor_receives(
    scene: Scene, what: str, which: str, status: AccountStatus
) -> None:
    await stop_elsewhere(scene, getattr(scene, which), status)
    outcome = await (scene.pay("10") if what == "pay" else scene.hold("10"))
    assert codes([outcome]) == {"account_not_active": 1}
    assert scene.tried == ["stale"]
    row = await scene.here.accounts.by_id(scene.source)
    assert (row.balance, row.held) == (10_000, 0)
    assert await scene.is_healthy()


async def test_without_the_versions_a_frozen_account_pays(
    scene: Scene, database_url: str, monkeypatch: Patch
) -> None:
    without(monkeypatch, OF_ACCOUNTS)
    await stop_elsewhere(scene, scene.source, AccountStatus.FROZEN)
    assert codes([await scene.pay("10")]) == {"posted": 1}
    assert await debits_after_the_freeze(database_url, scene.source) == 1


async def test_an_account_that_was_thawed_elsewhere_pays_again(scene: Scene) -> None:
    await stop_elsewhere(scene, scene.source, AccountStatus.FROZEN)
    assert codes([await scene.pay("10")]) == {"account_not_active": 1}
    await stop_elsewhere(scene, scene.source, AccountStatus.ACTIVE)
    assert codes([await scene.pay("10")]) == {"posted": 1}


# ── a ceiling elsewhere ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("what", ["pay", "hold"])
async def test_a_ceiling_set_elsewhere_is_kept(scene: Scene, what: str) -> None:
    await scene.elsewhere.limits.set(None, scene.target, {"ceiling": Amount(5, 0)}, "agreed")
    outcome = await (scene.pay("10") if what == "pay" else scene.hold("10"))
    assert codes([outcome]) == {"ceiling_exceeded": 1}


# ── the caller elsewhere ─────────────────────────────────────────────────────────────────────────────
# The user is remembered as one who may. Meanwhile the token was logged out, or every token by a new password,
# or the user is no system user any more.


async def log_out(scene: Scene) -> None:
    await scene.elsewhere.users.log_out(scene.claims)


async def set_a_new_password(scene: Scene) -> None:
    async with scene.elsewhere.database.connection() as connection:
        assert await users.set_password(connection, scene.ann.id, "another hash", scene.ann.password_hash)


Voided = Callable[[Scene], Awaitable[None]]


@pytest.mark.parametrize("voided", [log_out, set_a_new_password])
async def test_a_token_that_was_voided_elsewhere_moves_nothing(scene: Scene, voided: Voided) -> None:
    await voided(scene)
    assert codes([await scene.pay("10")]) == {"token_invalid": 1}
    assert scene.tried == ["stale"]
    assert await scene.bank.balance(scene.target) == 0


@pytest.mark.parametrize(("voided", "guard"), [(log_out, OF_TOKENS), (set_a_new_password, OF_CALLERS)])
async def test_without_its_guard_a_voided_token_moves_money(
    scene: Scene, monkeypatch: Patch, voided: Voided, guard: tuple[str, str]
) -> None:
    without(monkeypatch, guard)
    await voided(scene)
    assert codes([await scene.pay("10")]) == {"posted": 1}


async def bring_money_in(scene: Scene) -> Outcome:
    try:
        return await scene.here.transfers.initial_funds(
            token_of(scene.bank.system), key=fresh_key(), to_account=scene.source, amount=Amount(5, 0)
        )
    except NostroError as refusal:
        return refusal


async def lose_the_role(scene: Scene, url: str) -> None:
    await as_superuser(url, f"UPDATE users SET role = 'CUSTOMER' WHERE id = '\\x{scene.bank.system.id.hex()}'")


async def test_who_is_no_system_user_any_more_brings_no_money_in(scene: Scene, database_url: str) -> None:
    assert codes([await bring_money_in(scene)]) == {"posted": 1}
    await lose_the_role(scene, database_url)
    assert codes([await bring_money_in(scene)]) == {"not_system_user": 1}
    assert scene.tried == ["written", "stale"]


async def test_without_the_callers_versions_a_lost_role_brings_money_in(
    scene: Scene, database_url: str, monkeypatch: Patch
) -> None:
    without(monkeypatch, OF_CALLERS)
    assert codes([await bring_money_in(scene)]) == {"posted": 1}
    await lose_the_role(scene, database_url)
    assert codes([await bring_money_in(scene)]) == {"posted": 1}


# ── the key elsewhere ────────────────────────────────────────────────────────────────────────────────
# Nothing is remembered of keys. Of one that is accepted its constraint tells; of one that is refused because it
# stood for nothing the statement asks.


async def test_the_same_request_elsewhere_is_replayed_here(scene: Scene) -> None:
    key = fresh_key()
    first = await scene.pay("10", key, scene.elsewhere)
    again = await scene.pay("10", key)
    assert codes([again]) == {"replayed": 1}
    assert again.transaction.id == first.transaction.id
    assert await scene.bank.balance(scene.target) == 1000


async def use_the_key_elsewhere(scene: Scene, key: str) -> None:
    """For accounts that nothing here has to do with."""
    source, target = await scene.bank.account(scene.ann, 10), await scene.bank.account(scene.ann)
    used = await send(scene.elsewhere, scene.claims, source, target, "10", key)
    assert codes([used]) == {"posted": 1}


async def test_a_key_used_elsewhere_for_something_else_is_a_conflict_here(scene: Scene) -> None:
    key = fresh_key()
    await use_the_key_elsewhere(scene, key)
    assert codes([await scene.pay("10", key)]) == {"key_conflict": 1}
    assert scene.tried == ["UniqueViolationError"]
    assert await scene.bank.balance(scene.target) == 0


async def test_without_its_constraint_the_key_moves_money_here_too(scene: Scene, database_url: str) -> None:
    await as_superuser(database_url, "DROP INDEX transactions_idempotency_key")
    key = fresh_key()
    await use_the_key_elsewhere(scene, key)
    assert codes([await scene.pay("10", key)]) == {"posted": 1}
    assert not await scene.is_healthy()


async def test_a_key_used_elsewhere_is_a_conflict_also_where_the_money_would_not_do(scene: Scene) -> None:
    key = fresh_key()
    await use_the_key_elsewhere(scene, key)
    refused, other = await scene.pay_beside("200", key)
    assert codes([refused]) == {"key_conflict": 1}
    assert codes([other]) == {"posted": 1}
    assert scene.tried == ["stale"]


async def test_without_the_guard_of_refused_keys_a_conflict_is_called_lack_of_money(
    scene: Scene, monkeypatch: Patch
) -> None:
    without(monkeypatch, OF_REFUSED_KEYS)
    key = fresh_key()
    await use_the_key_elsewhere(scene, key)
    refused, other = await scene.pay_beside("200", key)
    assert codes([refused]) == {"insufficient_funds": 1}
    assert codes([other]) == {"posted": 1}


async def test_what_was_done_elsewhere_is_replayed_also_where_the_money_remembered_would_not_do(
    scene: Scene,
) -> None:
    key = fresh_key()
    await scene.bank.fund(scene.source, 50)
    assert codes([await scene.pay("120", key, scene.elsewhere)]) == {"posted": 1}
    again, other = await scene.pay_beside("120", key)
    assert codes([again]) == {"replayed": 1}
    assert codes([other]) == {"posted": 1}
    assert await scene.bank.balance(scene.source) == 3000


# ── refused here, and wrongly ────────────────────────────────────────────────────────────────────────
# What is remembered would not do, but by now it would.


async def test_money_that_came_in_elsewhere_is_spent_here(scene: Scene) -> None:
    await scene.bank.fund(scene.source, 100)
    assert codes(await scene.pay_beside("150")) == {"posted": 2}
    assert scene.tried == ["stale"]
    assert await scene.bank.balance(scene.source) == 5000
    assert await scene.is_healthy()


async def test_without_the_versions_money_that_came_in_is_denied(scene: Scene, monkeypatch: Patch) -> None:
    without(monkeypatch, OF_ACCOUNTS)
    await scene.bank.fund(scene.source, 100)
    refused, other = await scene.pay_beside("150")
    assert codes([refused]) == {"insufficient_funds": 1}
    assert codes([other]) == {"posted": 1}


async def test_a_refusal_that_nothing_was_written_with_is_decided_under_the_lock(scene: Scene) -> None:
    await scene.bank.fund(scene.source, 100)
    assert codes([await scene.pay("150")]) == {"posted": 1}
    assert scene.tried == []


async def test_an_account_that_was_opened_elsewhere_since_is_known_here(scene: Scene) -> None:
    new = ObjectId(b"\x01" * 12)
    assert codes([await send(scene.here, scene.claims, scene.source, new, "1")]) == {"account_not_found": 1}
    opened = await scene.bank.account(scene.ann)
    assert codes([await send(scene.here, scene.claims, scene.source, opened, "1")]) == {"posted": 1}


# ── limits elsewhere ─────────────────────────────────────────────────────────────────────────────────


async def limit_elsewhere(scene: Scene, **rupees: int) -> None:
    wishes = {name: Amount(value, 0) for name, value in rupees.items()}
    await scene.elsewhere.limits.set(None, scene.source, wishes, "agreed")


async def test_a_limit_set_elsewhere_is_kept_and_counts_what_is_paid_here(scene: Scene) -> None:
    await limit_elsewhere(scene, daily=51)  # a rupee of which was paid today
    refusal = await scene.pay("60")
    assert isinstance(refusal, LimitExceeded)
    assert codes([await scene.pay("40"), await scene.pay("20")]) == {"posted": 1, "limit_exceeded": 1}
    _, found = await scene.elsewhere.limits.of(scene.source, None)
    assert found.usage["daily"].used == 4100
    assert await scene.is_healthy()


async def test_without_the_versions_a_limit_set_elsewhere_is_overstepped(
    scene: Scene, monkeypatch: Patch
) -> None:
    without(monkeypatch, OF_ACCOUNTS)
    await limit_elsewhere(scene, daily=51)
    assert codes([await scene.pay("60")]) == {"posted": 1}
    assert not await scene.is_healthy()


async def test_who_has_limits_is_decided_under_the_lock_and_the_others_are_not(scene: Scene) -> None:
    await limit_elsewhere(scene, daily=51)
    assert codes(await scene.pay_beside("30")) == {"posted": 2}  # stale
    assert codes([await scene.pay("1")]) == {"posted": 1}  # mistrusted
    scene.tried.clear()
    paid, other = await scene.pay_beside("30")
    assert codes([paid]) == {"limit_exceeded": 1}
    assert codes([other]) == {"posted": 1}
    assert scene.tried == ["written"]


async def test_a_floor_raised_elsewhere_is_kept(scene: Scene) -> None:
    await limit_elsewhere(scene, floor=50)
    refusal = await scene.pay("60")
    assert isinstance(refusal, InsufficientFunds)
    assert refusal.facts["available"] == 5000


# ── holds that expire ────────────────────────────────────────────────────────────────────────────────
# 60 of 100 are held, for half an hour; then they can be spent, though nobody has written that down yet.


def an_hour_later(patch: Patch) -> None:
    for query in ("read_facts", MANY, ONE):
        later = SQL[query].replace("clock_timestamp()", "clock_timestamp() + interval '1 hour'")
        assert later != SQL[query]
        patch.setitem(SQL, query, later)


async def test_what_a_hold_held_can_be_spent_when_its_time_is_over(scene: Scene, monkeypatch: Patch) -> None:
    assert codes([await scene.hold("60", expires_in_s=1800)]) == {"posted": 1}
    refused, _ = await scene.pay_beside("80")
    assert codes([refused]) == {"insufficient_funds": 1}
    assert scene.tried == ["written", "written"]
    an_hour_later(monkeypatch)
    assert codes(await scene.pay_beside("80")) == {"posted": 2}
    assert scene.tried[2:] == ["stale"]
    row = await scene.here.accounts.by_id(scene.source)
    assert (row.balance, row.held) == (2000, 0)
    assert await scene.is_healthy()


async def test_without_the_guard_of_holds_what_they_held_is_denied(scene: Scene, monkeypatch: Patch) -> None:
    without(monkeypatch, OF_HOLDS)
    assert codes([await scene.hold("60", expires_in_s=1800)]) == {"posted": 1}
    an_hour_later(monkeypatch)
    refused, other = await scene.pay_beside("80")
    assert codes([refused]) == {"insufficient_funds": 1}
    assert codes([other]) == {"posted": 1}


async def test_a_hold_placed_or_voided_elsewhere_counts_here(scene: Scene) -> None:
    held = await scene.hold("60", scene.elsewhere)
    assert codes([await scene.pay("50")]) == {"insufficient_funds": 1}
    void = follow_up_request(Operation.VOID, scene.claims, held.transaction.id)
    await scene.elsewhere.follow_ups.ask(void)
    assert codes([await scene.pay("50")]) == {"posted": 1}
    assert await scene.is_healthy()


# ── two processes at it ──────────────────────────────────────────────────────────────────────────────


async def test_two_processes_that_hammer_two_accounts_both_ways_harm_nobody(scene: Scene) -> None:
    scene.elsewhere.transfers.committer.optimistic = True
    await scene.bank.fund(scene.source, 900)
    await scene.bank.fund(scene.target, 1000)
    ways = [(scene.source, scene.target, "3"), (scene.target, scene.source, "2")]
    ledgers = [scene.here, scene.elsewhere]
    for _ in range(10):
        outcomes = await asyncio.gather(
            *(send(ledgers[number % 2], scene.claims, *ways[number // 2 % 2]) for number in range(40))
        )
        assert codes(outcomes) == {"posted": 40}
    assert await scene.bank.balance(scene.source) == 100_000 - 200 * 300 + 200 * 200
    assert await scene.bank.balance(scene.target) == 100_000 + 200 * 300 - 200 * 200
    assert set(scene.tried) <= {"written", "stale"}
    assert await scene.is_healthy()


async def test_one_by_one_in_two_processes_everything_adds_up(scene: Scene) -> None:
    """Each sends the next when the last is answered, so that their statements meet in every order."""
    scene.elsewhere.transfers.committer.optimistic = True
    await scene.bank.fund(scene.target, 100)

    async def keep_paying(ledger: Ledger, source: ObjectId, target: ObjectId) -> None:
        for _ in range(60):
            assert codes([await send(ledger, scene.claims, source, target, "1")]) == {"posted": 1}

    await asyncio.gather(
        *(
            keep_paying(ledger, source, target)
            for ledger in (scene.here, scene.elsewhere)
            for source, target in ((scene.source, scene.target), (scene.target, scene.source))
        )
    )
    assert await scene.bank.balance(scene.source) == await scene.bank.balance(scene.target) == 10_000
    assert set(scene.tried) <= {"written", "stale"}
    assert await scene.is_healthy()


# ── how much is trusted ──────────────────────────────────────────────────────────────────────────────


async def test_after_a_stale_attempt_the_lock_comes_first_for_a_while(scene: Scene, monkeypatch: Patch) -> None:
    await scene.pay("1", ledger=scene.elsewhere)
    gone = ways_gone(monkeypatch)
    for _ in range(4):
        assert codes([await scene.pay("1")]) == {"posted": 1}
    assert gone == ["if_unchanged", "under_lock", "under_lock", "if_unchanged", "if_unchanged"]
    assert scene.tried == ["stale", "written", "written"]


def test_who_was_wrong_again_is_mistrusted_twice_as_long_up_to_an_end() -> None:
    heads, lengths = Heads(), []
    for _ in range(10):
        heads.was_wrong()
        lengths.append(0)
        while not heads.trusted():
            lengths[-1] += 1
    assert lengths == [1, 2, 4, 8, 16, 32, 64, 64, 64, 64]
    assert max(lengths) == LONGEST_MISTRUST


def test_who_was_right_is_mistrusted_half_as_long_the_next_time() -> None:
    heads = Heads()
    for _ in range(4):
        heads.was_wrong()
    for _ in range(2):
        heads.was_right()
    while not heads.trusted():
        pass
    heads.was_wrong()
    mistrusted = 0
    while not heads.trusted():
        mistrusted += 1
    assert mistrusted == 4


# ── where rows lie ───────────────────────────────────────────────────────────────────────────────────


async def test_accounts_whose_rows_lie_elsewhere_are_found_again(scene: Scene, database_url: str) -> None:
    """A table that is written anew keeps the versions of its rows, and not their places."""
    (remembered,) = scene.heads.of([scene.source]).values()
    found = f"SELECT ctid::text FROM accounts WHERE id = '\\x{scene.source.hex()}'"
    assert await as_superuser(database_url, "VACUUM FULL accounts", found) != remembered.ctid
    assert codes(await scene.pay_beside("70")) == {"posted": 2}
    assert scene.tried == ["stale"]
    assert codes([await scene.pay("70")]) == {"insufficient_funds": 1}
    assert await scene.is_healthy()


async def test_another_accounts_row_at_the_same_version_is_not_taken_for_it(scene: Scene) -> None:
    source, target = scene.heads.of([scene.source, scene.target]).values()
    assert source.version == target.version
    source.ctid, target.ctid = target.ctid, source.ctid
    assert codes(await scene.pay_beside("70")) == {"posted": 2}
    assert scene.tried == ["stale"]
    assert codes([await scene.pay("70")]) == {"insufficient_funds": 1}
    assert await scene.is_healthy()


# ── what is remembered ───────────────────────────────────────────────────────────────────────────────

_EARLY = datetime(2026, 1, 1, tzinfo=UTC)


def _numbered(number: int) -> ObjectId:
    return ObjectId(number.to_bytes(12, "big"))


def _head(number: int) -> Head:
    account = _numbered(number)
    return Head(
        Account(account, account, "INR", 2, AccountStatus.ACTIVE, 0, 0, 0, 0, None, settlement=False),
        1,
        "(0,1)",
        _EARLY,
    )


def test_no_more_accounts_are_remembered_than_fit_and_the_least_recently_used_go_first() -> None:
    heads = Heads(most=3)
    heads.remember({_numbered(number): _head(number) for number in (1, 2, 3)})
    heads.remember(heads.of([_numbered(1)]))
    heads.remember({_numbered(4): _head(4)})
    assert set(heads.of(map(_numbered, (1, 2, 3, 4)))) == set(map(_numbered, (1, 3, 4)))


def test_no_more_callers_are_remembered_than_fit() -> None:
    heads = Heads(most=2)
    for number in (1, 2, 3):
        caller = Caller(_numbered(number), Role.CUSTOMER, 0)
        heads.remember_callers({_numbered(number): KnownCaller(caller, 1)})
    assert set(heads.callers(map(_numbered, (1, 2, 3)))) == {_numbered(2), _numbered(3)}


def test_what_was_forgotten_and_read_again_is_not_what_was_decided_on() -> None:
    heads, decided_on = Heads(), {_numbered(1): _head(1)}
    heads.remember(decided_on)
    then = heads.forgotten
    assert heads.has(decided_on, since=then)
    heads.forget([_numbered(2)])
    assert heads.has(decided_on, since=then)
    heads.forget([_numbered(1)])
    assert not heads.has(decided_on, since=then)
    heads.remember({_numbered(1): _head(1)})
    assert not heads.has(decided_on, since=then)


def test_after_a_failover_nothing_is_what_was_decided_on() -> None:
    heads, decided_on = Heads(), {_numbered(1): _head(1)}
    heads.remember(decided_on)
    then = heads.forgotten
    heads.forget_everything()
    assert not heads.has(decided_on, since=then)


async def test_whatever_was_moved_under_the_lock_is_read_anew(scene: Scene) -> None:
    under_the_lock(scene.here)
    await scene.pay("1")
    assert scene.heads.of([scene.source, scene.target, scene.rich]).keys() == {scene.rich}


async def test_a_ledger_that_remembers_one_account_at_a_time_is_right_all_the_same(scene: Scene) -> None:
    scene.here.transfers.committer.attempts.heads = Heads(most=1)
    for _ in range(3):
        assert codes(await scene.pay_beside("10")) == {"posted": 2}
    assert set(scene.tried) == {"written"}
    assert await scene.is_healthy()


# ── usual and unusual ────────────────────────────────────────────────────────────────────────────────


def legs(scene: Scene, *rupees: str) -> Terms:
    return Terms(legs=tuple(LegWish(scene.source, scene.target, parse_amount(part)) for part in rupees))


async def test_a_batch_of_usual_and_unusual_requests_answers_all(scene: Scene) -> None:
    held = await scene.hold("20")
    scene.tried.clear()
    committer = scene.here.transfers.committer
    asked = [
        scene.wish(scene.source, scene.target, "5"),
        follow_up_request(Operation.CAPTURE, scene.claims, held.transaction.id, amount=parse_amount("20")),
        scene.wish(scene.source, scene.target, "10", legs(scene, "4", "6")),
        scene.wish(scene.rich, scene.poor, "500"),
        scene.wish(scene.rich, scene.poor, "5"),
    ]
    outcomes = await asyncio.gather(*(committer.submit(request) for request in asked))
    assert [*map(type, outcomes)] == [Posted, Posted, Posted, InsufficientFunds, Posted]
    assert scene.tried == ["written"]
    assert await scene.bank.balance(scene.target) == 3500
    assert await scene.is_healthy()


async def test_one_key_for_a_usual_and_an_unusual_request_at_once_stands_for_one(scene: Scene) -> None:
    committer, key = scene.here.transfers.committer, fresh_key()
    outcomes = await asyncio.gather(
        committer.submit(scene.wish(scene.source, scene.target, "10", legs(scene, "4", "6"), key)),
        committer.submit(scene.wish(scene.source, scene.target, "10", key=key)),
    )
    assert codes(outcomes) == {"posted": 1, "key_conflict": 1}
    assert await scene.bank.balance(scene.target) == 1000


async def test_bulk_work_keeps_its_order_whatever_is_unusual_in_it(scene: Scene) -> None:
    """The legs leave too little for what comes after them; out of order they would find too little."""
    bulk = [
        scene.wish(scene.source, scene.target, "70", legs(scene, "30", "40")),
        scene.wish(scene.source, scene.target, "90"),
    ]
    outcomes = await scene.here.transfers.begin_bulk(bulk, together=False)
    assert [*map(type, outcomes)] == [Posted, InsufficientFunds]
    assert await scene.bank.balance(scene.target) == 7000


async def test_usual_bulk_work_goes_the_short_way_in_its_order(scene: Scene) -> None:
    bulk = [
        scene.wish(scene.source, scene.target, "100"),
        scene.wish(scene.source, scene.target, "1"),
        scene.wish(scene.target, scene.poor, "100"),
    ]
    outcomes = await scene.here.transfers.begin_bulk(bulk, together=False)
    assert [*map(type, outcomes)] == [Posted, InsufficientFunds, Posted]
    assert scene.tried == ["written"]
    assert await scene.bank.balance(scene.poor) == 10_000
    assert await scene.is_healthy()


@pytest.mark.parametrize("unusual", [False, True])
async def test_all_or_nothing_with_a_culprit_does_nothing(scene: Scene, *, unusual: bool) -> None:
    bulk = [
        scene.wish(scene.rich, scene.poor, "10"),
        scene.wish(scene.source, scene.target, "200", legs(scene, "100", "100") if unusual else None),
        scene.wish(scene.source, scene.target, "1"),
    ]
    outcomes = await scene.here.transfers.begin_bulk(bulk, together=True)
    assert codes(outcomes) == {"group_refused": 2, "insufficient_funds": 1}
    assert await scene.bank.balance(scene.poor) == await scene.bank.balance(scene.target) == 0
    assert await scene.is_healthy()


async def test_all_or_nothing_is_all_when_only_the_memory_says_no(scene: Scene) -> None:
    await scene.bank.fund(scene.source, 100)
    bulk = [scene.wish(scene.rich, scene.poor, "10"), scene.wish(scene.source, scene.target, "150")]
    outcomes = await scene.here.transfers.begin_bulk(bulk, together=True)
    assert codes(outcomes) == {"posted": 2}


async def test_all_or_nothing_is_nothing_when_only_the_memory_says_yes(scene: Scene) -> None:
    assert codes([await scene.pay("90", ledger=scene.elsewhere)]) == {"posted": 1}
    bulk = [scene.wish(scene.rich, scene.poor, "10"), scene.wish(scene.source, scene.target, "50")]
    outcomes = await scene.here.transfers.begin_bulk(bulk, together=True)
    assert codes(outcomes) == {"group_refused": 1, "insufficient_funds": 1}
    assert await scene.bank.balance(scene.poor) == 0
    assert scene.tried == ["stale"]


# ── times ────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_time_that_is_told_is_the_time_that_is_written(scene: Scene, database_url: str) -> None:
    posted = await scene.pay("10")
    assert scene.tried == ["written"]
    connection = await asyncpg.connect(database_url)
    found = await connection.fetch(
        "SELECT t.created_at FROM transactions t WHERE t.id = $1 UNION ALL"
        " SELECT e.created_at FROM entries e JOIN transactions t ON t.position = e.position WHERE t.id = $1"
        " UNION ALL SELECT updated_at FROM accounts WHERE id = ANY($2)",
        posted.transaction.id,
        [scene.source, scene.target],
    )
    position = await connection.fetchval(
        "SELECT position FROM transactions WHERE id = $1", posted.transaction.id
    )
    await connection.close()
    assert [row["created_at"] for row in found] == [posted.transaction.created_at] * 5
    assert position == posted.transaction.position
    again = (await scene.here.transfers.by_id(posted.transaction.id, None)).transaction
    assert again.created_at == posted.transaction.created_at


async def test_a_hold_expires_when_it_was_said_to(scene: Scene, database_url: str) -> None:
    posted = await scene.hold("10", expires_in_s=90)
    assert scene.tried == ["written"]
    connection = await asyncpg.connect(database_url)
    row = await connection.fetchrow(
        "SELECT t.expires_at AS one, s.expires_at AS other, t.created_at, s.updated_at"
        " FROM transactions t JOIN summaries s USING (position) WHERE t.id = $1",
        posted.transaction.id,
    )
    await connection.close()
    hold = posted.transaction
    assert row["one"] == row["other"] == hold.expires_at == hold.created_at + timedelta(seconds=90)
    assert (row["created_at"], row["updated_at"]) == (hold.created_at, hold.updated_at)


async def test_a_refused_request_leaves_its_accounts_as_they_were(scene: Scene) -> None:
    before = [await scene.here.accounts.by_id(account) for account in (scene.source, scene.target)]
    refused, other = await scene.pay_beside("200")
    assert codes([refused]) == {"insufficient_funds": 1}
    assert codes([other]) == {"posted": 1}
    assert scene.tried == ["written"]
    after = [await scene.here.accounts.by_id(account) for account in (scene.source, scene.target)]
    assert after == before
    assert codes([await scene.pay("100")]) == {"posted": 1}
    assert scene.tried == ["written", "written"]


async def test_nothing_is_written_before_what_another_clock_wrote_of_the_account(
    scene: Scene, monkeypatch: Patch
) -> None:
    """The other process writes with a clock that is an hour ahead; what follows here is not earlier."""
    with monkeypatch.context() as ahead:
        an_hour_later(ahead)
        earlier = await scene.pay("1", ledger=scene.elsewhere)
    scene.heads.forget([scene.source, scene.target])
    later, hold = await scene.pay("1"), await scene.hold("1", expires_in_s=90)
    assert scene.tried == ["written", "written"]
    assert later.transaction.created_at == hold.transaction.created_at == earlier.transaction.created_at
    assert hold.transaction.expires_at == hold.transaction.created_at + timedelta(seconds=90)
    elsewhere = await send(scene.here, scene.claims, scene.rich, scene.poor, "1")
    assert elsewhere.transaction.created_at < later.transaction.created_at
    assert await scene.is_healthy()
