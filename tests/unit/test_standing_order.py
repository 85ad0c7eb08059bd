"""What an attempt at an occurrence leaves behind, and when an order is over: decided without a clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nostro.domain.errors import (
    AccountNotActive,
    AccountNotFound,
    CeilingExceeded,
    InsufficientFunds,
    InvalidKey,
    KeyConflict,
    LimitExceeded,
    NostroError,
    UserGone,
)
from nostro.domain.ids import ObjectId
from nostro.domain.money import Currency
from nostro.domain.schedule import Schedule
from nostro.domain.standing_order import (
    CatchUp,
    OrderStatus,
    Retry,
    RunStatus,
    StandingOrder,
    due_next,
    executed,
    over,
    refused,
    skipped,
)
from nostro.domain.transaction import valid_key

DUE = datetime(2026, 12, 1, 9, tzinfo=UTC)
NOW, NEXT = DUE + timedelta(seconds=2), DUE + timedelta(days=1)
ID, TRANSACTION = ObjectId(b"\1" * 12), ObjectId(b"\2" * 12)
TOO_LITTLE = InsufficientFunds(required=2, available=1, currency="INR", exponent=2)

ORDER = StandingOrder(
    id=ID,
    owner=ID,
    from_account=ID,
    to_account=TRANSACTION,
    amount=100,
    currency=Currency("INR", 2),
    schedule=Schedule(DUE, "UTC", every_days=1),
    ends_at=None,
    times=None,
    retry=Retry(attempts=3, minutes=60),
    catch_up=CatchUp.ALL,
    description=None,
    key="rent",
    status=OrderStatus.ACTIVE,
    failure_code=None,
    occurrence=1,
    attempts=0,
    due_at=DUE,
    wakes_at=DUE,
    mandate=b"m",
    created_at=DUE,
    updated_at=DUE,
)


def test_an_executed_occurrence_leaves_the_order_to_the_next() -> None:
    order, run = executed(ORDER, DUE, TRANSACTION, NEXT, NOW)
    assert (order.status, order.occurrence, order.due_at, order.wakes_at) == (OrderStatus.ACTIVE, 2, NEXT, NEXT)
    assert order.mandate is None
    assert run == (1, DUE, RunStatus.EXECUTED, 1, None, TRANSACTION, None)


def test_lack_of_money_is_tried_again_until_the_attempts_are_used_up() -> None:
    order, statuses = ORDER, []
    for _ in range(3):
        order, run = refused(replace(order, mandate=b"m"), DUE, TOO_LITTLE, NEXT, NOW, closed=False)
        statuses.append((run.status, run.attempts, run.code, order.occurrence))
        if run.status is RunStatus.RETRYING:
            assert order.due_at == DUE
            assert order.wakes_at == run.next_attempt_at == NOW + timedelta(minutes=60)
    assert statuses == [
        (RunStatus.RETRYING, 1, "insufficient_funds", 1),
        (RunStatus.RETRYING, 2, "insufficient_funds", 1),
        (RunStatus.FAILED, 3, "insufficient_funds", 2),
    ]
    assert (order.status, order.attempts, order.due_at) == (OrderStatus.ACTIVE, 0, NEXT)


@pytest.mark.parametrize(
    ("refusal", "closed", "status"),
    [
        (AccountNotActive(), False, OrderStatus.ACTIVE),
        (AccountNotActive(), True, OrderStatus.FAILED),
        (LimitExceeded(), False, OrderStatus.ACTIVE),
        (CeilingExceeded(), False, OrderStatus.ACTIVE),
        (AccountNotFound(role="to"), False, OrderStatus.FAILED),
        (KeyConflict(), False, OrderStatus.FAILED),
        (UserGone(), False, OrderStatus.FAILED),
    ],
)
def test_any_other_refusal_settles_the_occurrence_and_stops_what_can_never_succeed(
    refusal: NostroError, closed: bool, status: OrderStatus
) -> None:
    order, run = refused(ORDER, DUE, refusal, NEXT, NOW, closed=closed)
    assert (run.status, run.code, run.attempts) == (RunStatus.FAILED, refusal.code, 1)
    assert order.status is status
    assert order.failure_code == (refusal.code if status is OrderStatus.FAILED else None)
    assert order.due_at == (NEXT if status is OrderStatus.ACTIVE else None)


def test_an_order_is_over_after_its_last_time_its_end_or_its_last_date() -> None:
    for ended, following in (
        (replace(ORDER, times=1), NEXT),
        (replace(ORDER, ends_at=NEXT - timedelta(seconds=1)), NEXT),
        (ORDER, None),
    ):
        order, run = executed(ended, DUE, TRANSACTION, following, NOW)
        assert (order.status, order.due_at, order.wakes_at) == (OrderStatus.COMPLETED, None, None)
        assert run.status is RunStatus.EXECUTED
    assert executed(replace(ORDER, times=2), DUE, TRANSACTION, NEXT, NOW).order.status is OrderStatus.ACTIVE
    assert (
        executed(replace(ORDER, ends_at=NEXT), DUE, TRANSACTION, NEXT, NOW).order.status is OrderStatus.ACTIVE
    )


def test_an_order_that_is_behind_waits_its_turn() -> None:
    missed = due_next(ORDER, NOW - timedelta(days=100), NOW)
    assert (missed.due_at, missed.wakes_at) == (NOW - timedelta(days=100), NOW)


def test_giving_up_skips_only_an_occurrence_that_was_tried() -> None:
    assert skipped(ORDER) == (ORDER, None)
    order, run = skipped(replace(ORDER, attempts=2))
    assert run is not None
    assert (run.status, run.code, run.attempts, run.occurrence) == (RunStatus.SKIPPED, TOO_LITTLE.code, 2, 1)
    assert (order.occurrence, order.attempts) == (2, 0)
    assert over(order, OrderStatus.PAUSED).wakes_at is None


def test_no_client_can_send_the_key_of_an_occurrence() -> None:
    assert ORDER.run_key == f"standing-order·{ID.hex()}·1"
    with pytest.raises(InvalidKey):
        valid_key(ORDER.run_key)
