"""What is counted against limits over random lives of an account, against a plain sum of what was spent."""

import random
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from nostro.domain.errors import LimitExceeded, NostroError
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount, Currency
from nostro.domain.requests import Terms
from nostro.domain.transaction import Operation
from nostro.ledger.follow_ups import follow_up_request
from nostro.ledger.service import Ledger
from nostro.ledger.transfers import transfer_request
from nostro.store.users import User
from tests.concurrency.bank import Bank, fresh_key, token_of

pytestmark = pytest.mark.anyio

DOLLARS = Currency("USD", 2)
# What a limit must not come near in these lives, so that nothing but its count is tried.
FAR = 10**9


@dataclass
class Life:
    """Ann, her account, another of hers, one in dollars, and what she has spent, as the test keeps it."""

    ledger: Ledger
    ann: User
    system: User
    account: ObjectId
    other: ObjectId
    dollars: ObjectId
    spent: int = 0
    count: int = 0
    holds: dict[ObjectId, int] = field(default_factory=dict)
    movements: list[ObjectId] = field(default_factory=list)

    async def step(self, chance: random.Random) -> None:
        acts = [self.pay, self.receive, self.exchange, self.hold]
        if self.holds:
            acts += [self.capture, self.void, self.void]
        if self.movements:
            acts.append(self.flow_back)
        await chance.choice(acts)(chance)

    async def pay(self, chance: random.Random) -> None:
        amount = chance.randint(1, 500)
        self.movements.append(await self._ask(self.account, self.other, amount))
        self._spend(amount)

    async def receive(self, chance: random.Random) -> None:
        await self._ask(self.other, self.account, chance.randint(1, 20))

    async def exchange(self, chance: random.Random) -> None:
        amount = chance.randint(100, 500)
        await self._ask(self.account, self.dollars, amount, Operation.EXCHANGE)
        self._spend(amount)

    async def hold(self, chance: random.Random) -> None:
        amount = chance.randint(2, 500)
        self.holds[await self._ask(self.account, self.other, amount, terms=Terms(hold=True))] = amount
        self._spend(amount)

    async def capture(self, chance: random.Random) -> None:
        hold = chance.choice(list(self.holds))
        amount, final = chance.randint(1, self.holds[hold]), chance.random() < 0.5
        await self._follow(Operation.CAPTURE, hold, Amount(amount, 2), final=final)
        left = self.holds[hold] - amount
        if final:
            self.spent -= left
        if final or not left:
            del self.holds[hold]
        else:
            self.holds[hold] = left

    async def void(self, chance: random.Random) -> None:
        hold = chance.choice(list(self.holds))
        await self._follow(Operation.VOID, hold)
        self.spent -= self.holds.pop(hold)

    async def flow_back(self, chance: random.Random) -> None:
        moved = self.movements.pop(chance.randrange(len(self.movements)))
        await self._follow(Operation.REVERSE, moved)

    def _spend(self, amount: int) -> None:
        self.spent += amount
        self.count += 1

    async def _ask(
        self,
        source: ObjectId,
        target: ObjectId,
        amount: int,
        operation: Operation = Operation.TRANSFER,
        **terms: Any,
    ) -> ObjectId:
        wanted = transfer_request(
            token_of(self.ann), fresh_key(), source, target, Amount(amount, 2), operation=operation, **terms
        )
        return (await self.ledger.transfers.ask(wanted)).transaction.id

    async def _follow(
        self, operation: Operation, parent: ObjectId, amount: Amount | None = None, *, final: bool = False
    ) -> None:
        request = follow_up_request(operation, token_of(self.ann), parent, amount=amount, final=final)
        await self.ledger.follow_ups.ask(request)

    async def limit(self, **limits: int | None) -> None:
        wishes = {
            name: value if name == "hourly" or value is None else Amount(value, 2)
            for name, value in limits.items()
        }
        await self.ledger.limits.set(None, self.account, wishes, "agreed")

    async def used(self) -> tuple[int, int, int]:
        _, found = await self.ledger.limits.of(self.account, None)
        return tuple(found.usage[name].used for name in ("hourly", "daily", "monthly"))  # type: ignore[return-value]


async def begin(ledger: Ledger) -> Life:
    bank = await Bank.open(ledger)
    await ledger.accounts.open(bank.system, DOLLARS)
    await ledger.rates.set(bank.system, "INR", "USD", Decimal("0.0119"))
    ann = await bank.person()
    account, other = await bank.account(ann, 100_000), await bank.account(ann, 1_000)
    dollars = (await ledger.accounts.open(ann, DOLLARS)).id
    return Life(ledger, ann, bank.system, account, other, dollars)


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_counted_is_what_was_spent_whenever_the_limit_was_set(ledger: Ledger, seed: int) -> None:
    chance = random.Random(seed)
    hour = datetime.now(UTC).hour
    life = await begin(ledger)
    for _ in range(chance.choice([0, 20])):
        await life.step(chance)
    await life.limit(daily=FAR, hourly=FAR)
    for _ in range(40):
        await life.step(chance)
        if chance.random() < 0.1:
            await life.limit(monthly=chance.choice([FAR, None]))
        if chance.random() < 0.1:
            await life.limit(daily=None, monthly=None, hourly=None)
            await life.step(chance)
            await life.limit(daily=FAR, hourly=FAR)
    expected = (life.count, life.spent, life.spent)
    if datetime.now(UTC).hour == hour:
        assert await life.used() == expected
    await _agrees_with_the_journal(ledger)


async def _agrees_with_the_journal(ledger: Ledger) -> None:
    findings = {finding.invariant: finding for finding in (await ledger.verify()).findings}
    for invariant in ("04_never_below_the_floor", "13_limits_count_what_was_spent"):
        assert findings[invariant].holds, findings[invariant]


async def test_what_was_spent_before_the_day_does_not_count_in_it(ledger: Ledger, database_url: str) -> None:
    """Everything recorded so far is moved back in time, past the beginning of the day or of the month."""
    life = await begin(ledger)
    await life.limit(daily=FAR)
    await life.pay(random.Random(1))
    await life.hold(random.Random(2))
    before = life.spent
    now = datetime.now(UTC)
    await _move_back(database_url, hours=now.hour + 1)
    for limits in ({}, {"daily": None}, {"daily": FAR}):
        await life.limit(**limits)
    _, daily, monthly = await life.used()
    assert (daily, monthly) == (0, before if now.day > 1 else 0)
    await life.void(random.Random(3))
    _, daily, _ = await life.used()
    assert daily == 0, "what a hold of yesterday lets go is not given back today"
    await life.pay(random.Random(4))
    _, daily, _ = await life.used()
    assert daily > 0
    await _move_back(database_url, hours=24 * 40)
    await life.limit(daily=FAR)
    assert await life.used() == (0, 0, 0)
    await _agrees_with_the_journal(ledger)


async def _move_back(url: str, *, hours: int) -> None:
    connection = await asyncpg.connect(url)
    by = f"interval '{hours} hours'"
    await connection.execute("SET session_replication_role = replica")
    for table, columns in (
        ("transactions", ("created_at",)),
        ("entries", ("created_at",)),
        ("accounts", ("created_at", "updated_at")),
        ("limits", ("hour_start", "day_start", "month_start")),
    ):
        moved = ", ".join(f"{column} = {column} - {by}" for column in columns)
        await connection.execute(f"UPDATE {table} SET {moved}")
    await connection.close()


@pytest.mark.parametrize(
    ("limits", "name", "remaining"),
    [
        ({"single": 4_999}, "single", 4_999),
        ({"daily": 12_000}, "daily", 2_000),
        ({"monthly": 14_999}, "monthly", 4_999),
        ({"hourly": 1}, "hourly", 0),
        ({"daily": 9_000}, "daily", 0),
        ({"single": 1, "daily": 1, "monthly": 1}, "single", 1),
        ({"single": 1, "hourly": 1}, "hourly", 0),
    ],
)
async def test_what_would_exceed_a_limit_is_refused_with_what_is_left_of_it(
    ledger: Ledger, limits: dict[str, int], name: str, remaining: int
) -> None:
    life = await begin(ledger)
    life.movements.append(await life._ask(life.account, life.other, 10_000))
    await life.limit(**limits)
    attempts: list[Awaitable[Any]] = [
        life._ask(life.account, life.other, 5_000),
        life._ask(life.account, life.other, 5_000, terms=Terms(hold=True)),
        life._ask(life.account, life.dollars, 5_000, Operation.EXCHANGE),
    ]
    for attempt in attempts:
        with pytest.raises(NostroError) as refusal:
            await attempt
        assert isinstance(refusal.value, LimitExceeded)
        assert (refusal.value.facts["limit"], refusal.value.facts["remaining"]) == (name, remaining)
