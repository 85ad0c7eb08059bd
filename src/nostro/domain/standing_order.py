"""Standing orders: a transfer that the service makes for its owner, once or again and again.

An order's occurrences are numbered from 1 and carried out in that order, one after the other. What an attempt
at one leaves behind is decided here, without a clock: `executed`, `refused`, `skipped`, `completed`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from nostro.domain.errors import AccountNotFound, CurrencyMismatch, InsufficientFunds, NostroError, Refused
from nostro.domain.ids import ObjectId
from nostro.domain.money import Currency
from nostro.domain.schedule import Schedule

MOST_ATTEMPTS = 100
LONGEST_RETRY_MINUTES = 7 * 24 * 60
MOST_TIMES = 1_000_000


class OrderStatus(Enum):
    """ACTIVE and PAUSED may become each other and anything else; the other three are the end."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


class CatchUp(Enum):
    """What is made up for after the service was down: every occurrence that was missed, or only the latest."""

    ALL = "ALL"
    LATEST = "LATEST"


class RunStatus(Enum):
    """RETRYING: refused for lack of money, to be tried again. SKIPPED: given up because the order was paused,
    cancelled or ended meanwhile."""

    EXECUTED = "EXECUTED"
    RETRYING = "RETRYING"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


class Retry(NamedTuple):
    """How often lack of money is met with another attempt: `attempts` in all, `minutes` apart."""

    attempts: int = 3
    minutes: int = 60


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """`amount` is in minor units. `occurrence` is the number of the one that comes next, `attempts` how often
    it was tried. While ACTIVE, `due_at` is when it is due and `wakes_at` when it is tried (next); otherwise
    both are None. `mandate` names the claim of a process that is at it right now, None when nobody is.
    """

    id: ObjectId
    owner: ObjectId
    from_account: ObjectId
    to_account: ObjectId
    amount: int
    currency: Currency
    schedule: Schedule
    ends_at: datetime | None
    times: int | None
    retry: Retry
    catch_up: CatchUp
    description: str | None
    key: str
    status: OrderStatus
    failure_code: str | None
    occurrence: int
    attempts: int
    due_at: datetime | None
    wakes_at: datetime | None
    mandate: bytes | None
    created_at: datetime
    updated_at: datetime

    @property
    def is_over(self) -> bool:
        return self.status not in {OrderStatus.ACTIVE, OrderStatus.PAUSED}

    @property
    def run_key(self) -> str:
        """The idempotency key of the next occurrence's transfer. No client can send it: theirs are ASCII
        (tests/unit/test_standing_order.py::test_no_client_can_send_the_key_of_an_occurrence)."""
        return f"standing-order·{self.id.hex()}·{self.occurrence}"


class Run(NamedTuple):
    """What became of one occurrence. `code` says why it was refused last, `transaction` what moved."""

    occurrence: int
    due_at: datetime
    status: RunStatus
    attempts: int
    code: str | None
    transaction: ObjectId | None
    next_attempt_at: datetime | None


class Step(NamedTuple):
    """The order after an attempt at its occurrence, and the occurrence's own record."""

    order: StandingOrder
    run: Run


def executed(
    order: StandingOrder, due: datetime, transaction: ObjectId, following: datetime | None, now: datetime
) -> Step:
    """`due`: when the occurrence was due; `following`: when the schedule is due next, None if it never is."""
    run = Run(order.occurrence, due, RunStatus.EXECUTED, order.attempts + 1, None, transaction, None)
    return Step(due_next(_settled(order), following, now), run)


def refused(
    order: StandingOrder,
    due: datetime,
    refusal: NostroError,
    following: datetime | None,
    now: datetime,
    *,
    closed: bool,
) -> Step:
    """Lack of money is tried again while attempts are left. Any other refusal settles the occurrence; the order
    goes on unless the refusal stands for ever, as it does once one of its accounts is `closed`."""
    attempts = order.attempts + 1
    run = Run(order.occurrence, due, RunStatus.FAILED, attempts, refusal.code, None, None)
    if isinstance(refusal, InsufficientFunds) and attempts < order.retry.attempts:
        again = now + timedelta(minutes=order.retry.minutes)
        waiting = replace(order, attempts=attempts, due_at=due, wakes_at=again, mandate=None)
        return Step(waiting, run._replace(status=RunStatus.RETRYING, next_attempt_at=again))
    settled = _settled(order)
    if closed or not _may_pass(refusal):
        return Step(replace(over(settled, OrderStatus.FAILED), failure_code=refusal.code), run)
    return Step(due_next(settled, following, now), run)


def _may_pass(refusal: NostroError) -> bool:
    return isinstance(refusal, Refused) and not isinstance(refusal, AccountNotFound | CurrencyMismatch)


def skipped(order: StandingOrder) -> tuple[StandingOrder, Run | None]:
    """Give up the occurrence if it was tried already; one that was not even tried leaves its number to the
    next."""
    if order.attempts == 0 or order.due_at is None:
        return order, None
    # Only lack of money is tried again, so that is what it was refused for.
    code = InsufficientFunds.code
    run = Run(order.occurrence, order.due_at, RunStatus.SKIPPED, order.attempts, code, None, None)
    return _settled(order), run


def _settled(order: StandingOrder) -> StandingOrder:
    return replace(order, occurrence=order.occurrence + 1, attempts=0, mandate=None)


def due_next(order: StandingOrder, due: datetime | None, now: datetime) -> StandingOrder:
    """ACTIVE until `due`, or COMPLETED when it is None, after `ends_at`, or more often than `times`.

    One that is overdue wakes `now`, behind those that have waited longer: an order that missed a thousand
    occurrences does not keep the others waiting.
    """
    if (
        due is None
        or (order.ends_at is not None and due > order.ends_at)
        or (order.times is not None and order.occurrence > order.times)
    ):
        return over(order, OrderStatus.COMPLETED)
    return replace(order, status=OrderStatus.ACTIVE, due_at=due, wakes_at=max(due, now))


def over(order: StandingOrder, status: OrderStatus) -> StandingOrder:
    """PAUSED or at an end: not due until something is done about it."""
    return replace(order, status=status, due_at=None, wakes_at=None, mandate=None)
