"""The runner: carries out standing orders when they are due, each occurrence exactly once.

    1 claim     orders whose time has come, for a lease, each under a mandate of its own     one statement
    2 transfer  by the ordinary committer, with a key derived from order and occurrence
    3 record    what came of it, unless the mandate is not the order's any more              one commit for all

Any number of processes may run it on one database. A crash after 2 leaves a transfer without its record; who
claims the order once the lease has ended sends the same key, is answered with the same transaction, and records
it (tests/fault/test_standing_order_crashes.py). The lease only saves work. That a process which slept through
it moves no money for an occurrence that others have settled is due to its mandate, which they have revoked
(standing_orders.py). The mandate stands where a token would, so no logout or new password stops an order.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from nostro.domain.errors import AccountNotActive, NostroError, TokenRevoked, Unavailable
from nostro.domain.money import parse_amount, show_amount
from nostro.domain.requests import PLAIN, Terms
from nostro.domain.standing_order import OrderStatus, RunStatus, StandingOrder, Step, executed, refused
from nostro.domain.transaction import Notes
from nostro.domain.user import Claims
from nostro.ledger.schedules import first_after, occurrence_due
from nostro.ledger.standing_orders import tell
from nostro.ledger.transfers import Transfers
from nostro.store import standing_orders as store
from nostro.store.database import Connection, Database
from nostro.store.standing_orders import Claimed

log = structlog.get_logger(__name__)

AT_ONCE = 64
# Longer than a transfer and its record ever take (committer.DEADLINE_S), so that a lease ends only on a crash.
LEASE_S = 20.0
_LOOK_EVERY_S = 1.0


class Settled(NamedTuple):
    """An order as it was claimed, and what the attempt leaves behind."""

    order: StandingOrder
    step: Step


@dataclass(frozen=True)
class StandingOrderRunner:
    database: Database
    transfers: Transfers

    async def run(self) -> None:
        """Until cancelled. What a cancellation leaves unfinished is finished by the next process."""
        while True:
            found = 0
            try:
                found = await self.carry_out_due()
            except Exception as error:  # noqa: BLE001 - without this task no order is ever carried out
                log.warning("standing_orders_not_looked_at", reason=type(error).__name__)
            if not found:
                await asyncio.sleep(_LOOK_EVERY_S)

    async def carry_out_due(self) -> int:
        """One occurrence of each of up to `AT_ONCE` orders; how many there were."""
        async with self.database.background() as connection:
            claimed = await store.claim_orders(connection, AT_ONCE, LEASE_S)
        outcomes = await asyncio.gather(*map(self._attempt, claimed), return_exceptions=True)
        settled = []
        for (order, _), outcome in zip(claimed, outcomes, strict=True):
            if isinstance(outcome, Exception):
                _note_unsettled([order], outcome)
            elif isinstance(outcome, Step):
                settled.append(Settled(order, outcome))
        await self._record(settled)
        return len(claimed)

    async def _attempt(self, claimed: Claimed) -> Step | None:
        """What the attempt leaves behind; None when the order is somebody else's by now.

        Raises when that cannot be known: whoever claims the order next, once the lease has ended, finds out.
        """
        order, now = claimed
        due = occurrence_due(order, now)
        following = first_after(order.schedule, due)
        try:
            posted = await self.transfers.transfer(
                _mandate(order),
                key=order.run_key,
                from_account=order.from_account,
                to_account=order.to_account,
                amount=parse_amount(show_amount(order.amount, order.currency.exponent)),
                terms=Terms(notes=Notes(order.description)) if order.description else PLAIN,
            )
        except TokenRevoked:
            return None
        except NostroError as refusal:
            if refusal.http_status >= 500:
                raise
            closed = isinstance(refusal, AccountNotActive) and await self._is_closed(order)
            return refused(order, due, refusal, following, now, closed=closed)
        return executed(order, due, posted.transaction.id, following, now)

    async def _is_closed(self, order: StandingOrder) -> bool:
        async with self.database.background() as connection:
            return await store.any_closed(connection, [order.from_account, order.to_account])

    async def _record(self, settled: Sequence[Settled]) -> None:
        """All of them with one commit, or each with its own where one cannot be written at all."""
        try:
            await self._record_together(settled)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not hold up the others
            if len(settled) <= 1 or isinstance(error, Unavailable):
                _note_unsettled([order for order, _ in settled], error)
                return
            for one in settled:
                await self._record([one])

    async def _record_together(self, settled: Sequence[Settled]) -> None:
        if not settled:
            return
        async with self.database.transaction(background=True) as connection:
            saved = await store.save_orders(
                connection, [(step.order, order.mandate) for order, step in settled]
            )
            kept = [step for order, step in settled if order.id in saved]
            await store.save_runs(connection, [(step.order.id, step.run) for step in kept])
            for step in kept:
                await _tell(connection, step)


def _note_unsettled(orders: Sequence[StandingOrder], error: Exception) -> None:
    for order in orders:
        log.warning("standing_order_unsettled", order=order.id.hex(), reason=type(error).__name__)


def _mandate(order: StandingOrder) -> Claims:
    """The owner's authority for this one claim. Its digest is random and never that of a token's claims, so no
    request from outside can carry it; like a token it can be revoked, unlike one it does not age."""
    assert order.mandate is not None, "a claimed order has a mandate"
    return Claims(order.owner, order.mandate, float("inf"), float("inf"))


async def _tell(connection: Connection, step: Step) -> None:
    """Nothing for a success, which the journal tells by its transaction."""
    order, run = step
    if run.status is RunStatus.FAILED:
        await tell(
            connection,
            "STANDING_ORDER_FAILED",
            order,
            occurrence=run.occurrence,
            attempts=run.attempts,
            code=run.code,
        )
    if order.status is OrderStatus.COMPLETED:
        await tell(connection, "STANDING_ORDER_COMPLETED", order)
