"""Standing orders as their owners see and change them; standing_orders_runner.py carries them out.

Whoever pauses, cancels or changes an order may meet a transfer of it that is just on its way. Then exactly one
of two things happens, because the committer reads revocations only once it has locked the paying account:

    1 lock    the paying account: a transfer decided before is committed now, a later one waits
    2 lock    the order
    3 read    what the occurrence's key stands for, a LATER statement: the transfer happened and is written
              down here, or it did not and
    4 write   never will: the mandate it would happen under is revoked together with the change

So no money moves for an order after its cancellation was acknowledged, not even by a process that was stopped
for a day in between. Without the revocation it does
(tests/concurrency/test_standing_order_races.py::test_who_was_stopped_on_the_way_moves_nothing_after_a_change).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from nostro.domain.account import AccountStatus
from nostro.domain.errors import (
    AccountNotActive,
    AccountNotFound,
    CurrencyMismatch,
    InvalidField,
    KeyConflict,
    NotAccountOwner,
    NotFound,
    SameAccount,
    StatusConflict,
)
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount, Currency, show_amount
from nostro.domain.schedule import Schedule
from nostro.domain.standing_order import (
    CatchUp,
    OrderStatus,
    Retry,
    Run,
    StandingOrder,
    due_next,
    executed,
    over,
    skipped,
)
from nostro.ledger.identity import new_id
from nostro.ledger.schedules import first_after, occurrence_due, upcoming
from nostro.store import accounts, journal
from nostro.store import standing_orders as store
from nostro.store.accounts import AccountRow
from nostro.store.database import Connection, Database

_A_MOMENT = timedelta(microseconds=1)


class OrderTerms(NamedTuple):
    """A standing order as it is asked for: exactly one of `at`, `cron`, `every_days` and `every_months`.

    `starts` None: now. `key` may be empty only for a dry run.
    """

    key: str
    from_account: ObjectId
    to_account: ObjectId
    amount: Amount
    at: datetime | None = None
    cron: str | None = None
    every_days: int | None = None
    every_months: int | None = None
    day_of_month: int | None = None
    zone: str = "UTC"
    starts: datetime | None = None
    ends: datetime | None = None
    times: int | None = None
    retry: Retry = Retry()
    catch_up: CatchUp = CatchUp.ALL
    description: str | None = None

    def said(self) -> store.Request:
        """Field by field as text, so that spelling does not matter: by this a repetition is recognised."""
        fields = {
            "fromAccount": self.from_account.hex(),
            "toAccount": self.to_account.hex(),
            "amount": f"{self.amount.digits}e-{self.amount.scale}",
            "at": self.at and self.at.isoformat(),
            "cron": self.cron,
            "everyDays": self.every_days,
            "everyMonths": self.every_months,
            "dayOfMonth": self.day_of_month,
            "timeZone": self.zone,
            "startsAt": self.starts and self.starts.isoformat(),
            "endsAt": self.ends and self.ends.isoformat(),
            "times": self.times,
            "retry": f"{self.retry.attempts} every {self.retry.minutes} minutes",
            "catchUp": self.catch_up.value,
            "description": self.description,
        }
        return {name: str(value) for name, value in fields.items() if value is not None}


class Kept(Enum):
    """Stands for a term that a change leaves as it is, where None would take it away."""

    KEPT = "kept"


class Changes(NamedTuple):
    """New terms for what is still to come; None (`Kept` where None means something) leaves one as it is."""

    amount: Amount | None = None
    ends: datetime | Kept | None = Kept.KEPT
    times: int | Kept | None = Kept.KEPT
    retry: Retry | None = None
    catch_up: CatchUp | None = None


class Made(NamedTuple):
    """The order that answers a request, and whether it was there before (`replayed`)."""

    order: StandingOrder
    replayed: bool


@dataclass(frozen=True)
class StandingOrders:
    database: Database
    house_currency: Currency

    async def create(self, owner: ObjectId, terms: OrderTerms, *, dry_run: bool = False) -> Made:
        """A new order; with `dry_run` it is judged and shown, and nothing stays.

        Raises the first that applies of: `SameAccount`, `KeyConflict`, `InvalidAmount`, `AccountNotFound`,
        `NotAccountOwner`, `CurrencyMismatch`, `AccountNotActive` (an account that is closed), `InvalidField`.
        """
        async with self.database.transaction() as connection:
            source = await accounts.account_by_id(connection, terms.from_account)
            target = await accounts.account_by_id(connection, terms.to_account)
            amount = terms.amount.minor_units(self._exponent(source, owner))
            if terms.from_account == terms.to_account:
                raise SameAccount
            if not dry_run and (earlier := await _earlier(connection, owner, terms)) is not None:
                return Made(earlier, replayed=True)
            currency = _common_currency(source, target, owner)
            order = _drafted(owner, terms, amount, currency, await store.clock(connection))
            if dry_run:
                return Made(order, replayed=False)
            if not await store.insert_order(connection, order, terms.said()):
                # Somebody took the key since we looked, and has committed by now.
                earlier = await _earlier(connection, owner, terms)
                assert earlier is not None, "an order is never deleted"
                return Made(earlier, replayed=True)
            await tell(connection, "STANDING_ORDER_CREATED", order, actor=owner)
        return Made(order, replayed=False)

    def _exponent(self, source: AccountRow | None, owner: ObjectId) -> int:
        """The places judged: those of the paying account, if the caller may know anything of it."""
        known = source is not None and source.owner == owner
        return source.currency.exponent if source is not None and known else self.house_currency.exponent

    async def by_id(self, order: ObjectId, owner: ObjectId | None) -> StandingOrder:
        """`NotFound` when there is none, or when it is not `owner`'s."""
        async with self.database.connection() as connection:
            return await _found(connection, order, owner)

    async def runs(
        self, order: ObjectId, owner: ObjectId | None, *, before: int | None, limit: int
    ) -> list[Run]:
        """What became of its occurrences, newest first; only those before the occurrence `before`."""
        async with self.database.connection() as connection:
            await _found(connection, order, owner)
            return await store.runs_of(connection, order, before, limit)

    async def page(
        self,
        owner: ObjectId | None,
        *,
        before: ObjectId | None = None,
        status: OrderStatus | None = None,
        limit: int,
    ) -> list[StandingOrder]:
        """Newest first; `owner` None: everybody's."""
        async with self.database.connection() as connection:
            return await store.orders_of(connection, owner, before=before, status=status, limit=limit)

    async def upcoming(self, order: ObjectId, owner: ObjectId | None, count: int) -> list[datetime]:
        """The next `count` times it is due, as things stand; for a paused order as if it were resumed now."""
        async with self.database.connection() as connection:
            found = await _found(connection, order, owner)
            now = await store.clock(connection)
        return dates(found, now, count)

    async def pause(self, order: ObjectId, owner: ObjectId | None) -> StandingOrder:
        """Holds afterwards: nothing is transferred until it is resumed. What falls due meanwhile is skipped."""
        async with self._changing(order, owner) as change:
            if change.order.status is not OrderStatus.PAUSED:
                await change.put_down(OrderStatus.PAUSED, "STANDING_ORDER_PAUSED")
        return change.order

    async def resume(self, order: ObjectId, owner: ObjectId | None) -> StandingOrder:
        """It goes on with the next time it is due; when there is none any more, it is COMPLETED."""
        async with self._changing(order, owner) as change:
            if change.order.status is OrderStatus.PAUSED:
                now = await store.clock(change.connection)
                resumed = due_next(change.order, first_after(change.order.schedule, now), now)
                await change.save(resumed, "STANDING_ORDER_RESUMED")
        return change.order

    async def cancel(self, order: ObjectId, owner: ObjectId | None) -> StandingOrder:
        """Holds afterwards: nothing is transferred for it ever again (idempotent)."""
        async with self._changing(order, owner, unless=OrderStatus.CANCELLED) as change:
            if change.order.status is not OrderStatus.CANCELLED:
                await change.put_down(OrderStatus.CANCELLED, "STANDING_ORDER_CANCELLED")
        return change.order

    async def amend(self, order: ObjectId, owner: ObjectId | None, changes: Changes) -> StandingOrder:
        """New terms from the next attempt on. An order that is at its end with them is COMPLETED."""
        async with self._changing(order, owner) as change:
            amended = _amended(change.order, changes)
            if amended == change.order:
                return amended
            if amended.status is OrderStatus.ACTIVE and amended.attempts == 0:
                amended = due_next(amended, amended.due_at, await store.clock(change.connection))
            await change.save(amended, "STANDING_ORDER_CHANGED")
        return change.order

    @asynccontextmanager
    async def _changing(
        self, order: ObjectId, owner: ObjectId | None, unless: OrderStatus | None = None
    ) -> "AsyncIterator[_Change]":
        """A transaction in which nobody else is at the order. `StatusConflict` for one that is over, but for
        the status `unless`."""
        async with self.database.transaction() as connection:
            taken = await _taken_over(connection, await _found(connection, order, owner))
            if taken.is_over and taken.status is not unless:
                raise StatusConflict(f"A standing order that is {taken.status.value} stays so")
            yield _Change(connection, taken, owner)


@dataclass
class _Change:
    connection: Connection
    order: StandingOrder
    actor: ObjectId | None

    async def put_down(self, status: OrderStatus, event: str) -> None:
        """PAUSED or CANCELLED; an occurrence that waits for another attempt is skipped."""
        order, run = skipped(self.order)
        if run is not None:
            await store.save_runs(self.connection, [(order.id, run)])
        await self.save(over(order, status), event)

    async def save(self, order: StandingOrder, event: str) -> None:
        """The last act of the transaction."""
        saved = await store.save_orders(self.connection, [(order, None)])
        # It is locked, and nobody is at it.
        self.order = replace(order, updated_at=saved[order.id])
        await tell(self.connection, event, order, actor=self.actor)


async def _taken_over(connection: Connection, seen: StandingOrder) -> StandingOrder:
    """The order, locked, with nobody at it: what was under way has happened and is written down, or never
    will."""
    await accounts.lock_account(connection, seen.from_account)
    order = await store.lock_order(connection, seen.id)
    assert order is not None, "an order is never deleted"
    if order.mandate is None:
        return order
    await store.revoke_mandate(connection, order)
    left = replace(order, mandate=None)
    transaction = await store.transaction_of_run(connection, order)
    if transaction is not None:
        now = await store.clock(connection)
        due = occurrence_due(order, now)
        left, run = executed(order, due, transaction, first_after(order.schedule, due), now)
        await store.save_runs(connection, [(order.id, run)])
    await store.save_orders(connection, [(left, order.mandate)])
    return left


async def _found(connection: Connection, order: ObjectId, owner: ObjectId | None) -> StandingOrder:
    found = await store.order_by_id(connection, order)
    if found is None or (owner is not None and found.owner != owner):
        raise NotFound("Standing order not found")
    return found


async def _earlier(connection: Connection, owner: ObjectId, terms: OrderTerms) -> StandingOrder | None:
    """The order that the key stands for; `KeyConflict` when it was asked for otherwise."""
    found = await store.order_of_key(connection, owner, terms.key)
    if found is None:
        return None
    order, asked = found
    said = terms.said()
    differing = sorted(name for name in asked.keys() | said.keys() if asked.get(name) != said.get(name))
    if differing:
        raise KeyConflict(conflictingFields=differing)
    return await store.order_by_id(connection, order)


def _common_currency(source: AccountRow | None, target: AccountRow | None, owner: ObjectId) -> Currency:
    """The two accounts' currency, once they are what an order needs."""
    if target is None:
        raise AccountNotFound(role="to")
    if source is None:
        raise AccountNotFound(role="from")
    if source.owner != owner:
        raise NotAccountOwner
    if source.currency != target.currency:
        raise CurrencyMismatch
    if AccountStatus.CLOSED in {source.status, target.status}:
        raise AccountNotActive("An account of this standing order is closed")
    return source.currency


def _drafted(
    owner: ObjectId, terms: OrderTerms, amount: int, currency: Currency, now: datetime
) -> StandingOrder:
    """The order as it begins; `InvalidField` when it is never due."""
    if terms.at is not None and terms.at <= now:
        raise InvalidField("at", "must be in the future")
    schedule = Schedule(
        starts=terms.starts or now,
        zone=terms.zone,
        at=terms.at,
        cron=terms.cron,
        every_days=terms.every_days,
        every_months=terms.every_months,
        day_of_month=terms.day_of_month,
    )
    # An order that starts now is due now.
    due = first_after(schedule, now - _A_MOMENT)
    if due is None or (terms.ends is not None and due > terms.ends):
        raise InvalidField("endsAt" if terms.ends else "startsAt", "leaves no time at which it is due")
    return StandingOrder(
        id=new_id(),
        owner=owner,
        from_account=terms.from_account,
        to_account=terms.to_account,
        amount=amount,
        currency=currency,
        schedule=schedule,
        ends_at=terms.ends,
        times=terms.times,
        retry=terms.retry,
        catch_up=terms.catch_up,
        description=terms.description,
        key=terms.key,
        status=OrderStatus.ACTIVE,
        failure_code=None,
        occurrence=1,
        attempts=0,
        due_at=due,
        wakes_at=due,
        mandate=None,
        created_at=now,
        updated_at=now,
    )


def _amended(order: StandingOrder, changes: Changes) -> StandingOrder:
    """Raises `InvalidAmount` for more places than the order's currency has."""
    amount = changes.amount.minor_units(order.currency.exponent) if changes.amount else order.amount
    return replace(
        order,
        amount=amount,
        ends_at=order.ends_at if isinstance(changes.ends, Kept) else changes.ends,
        times=order.times if isinstance(changes.times, Kept) else changes.times,
        retry=changes.retry or order.retry,
        catch_up=changes.catch_up or order.catch_up,
    )


def dates(order: StandingOrder, now: datetime, count: int) -> list[datetime]:
    """The next `count` times at most that the order is due."""
    if order.is_over:
        return []
    left = count if order.times is None else min(count, order.times - order.occurrence + 1)
    after = order.due_at - _A_MOMENT if order.due_at is not None else now
    return list(upcoming(order.schedule, after, order.ends_at, left))


async def tell(
    connection: Connection, kind: str, order: StandingOrder, actor: ObjectId | None = None, **details: object
) -> None:
    """An event of the order, as the last act of the transaction."""
    await journal.append_event(
        connection,
        kind,
        actor=actor,
        user=order.owner,
        account=order.from_account,
        order=order.id.hex(),
        status=order.status.value,
        to=order.to_account.hex(),
        amount=show_amount(order.amount, order.currency.exponent),
        **details,
    )
