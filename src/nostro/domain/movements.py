"""One movement between two accounts: the guards that every movement passes, whatever it is part of."""

from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

from nostro.domain.account import Account
from nostro.domain.books import Books, Policy
from nostro.domain.errors import (
    PRECEDENCE,
    AccountNotActive,
    AmountOverflow,
    CeilingExceeded,
    InsufficientFunds,
    LimitExceeded,
    NostroError,
)
from nostro.domain.ids import ObjectId
from nostro.domain.money import INT64_MAX, INT64_MIN


class Movement(NamedTuple):
    """`amount` minor units from `source` to `target`."""

    source: Account
    target: Account
    amount: int


def refusal_of_states(movements: Sequence[Movement], policy: Policy) -> AccountNotActive | None:
    for source, target, _ in movements:
        if not source.pays or not target.receives(frozen_receives=policy.frozen_receives):
            return AccountNotActive()
    return None


def refusal_of_limits(movements: Sequence[Movement], books: Books) -> LimitExceeded | None:
    """What each account pays in all is held against its limits, as one transfer."""
    if not books.limits:
        return None
    for source, amount in paid_by(movements):
        limits = books.limits_of(source)
        refusal = limits.refusal(amount, source) if limits is not None else None
        if refusal is not None:
            return refusal
    return None


def paid_by(movements: Sequence[Movement]) -> list[tuple[Account, int]]:
    """Each paying account with all that it pays, in order."""
    totals: dict[ObjectId, int] = {}
    for source, _, amount in movements:
        totals[source.id] = totals.get(source.id, 0) + amount
    sources = {source.id: source for source, _, _ in movements}
    return [(sources[account], total) for account, total in totals.items()]


def refusal_of_money(movements: Sequence[Movement], *, overdraw: bool = False) -> NostroError | None:
    """Each movement in turn sees the heads as those before it left them, so that no prefix is below a floor.

    `overdraw`: an operator lets the paying account go below its floor.
    """
    if len(movements) == 1:
        return _refusal_of_one(movements[0], overdraw=overdraw)
    heads = {account.id: copy(account) for source, target, _ in movements for account in (source, target)}
    for source, target, amount in movements:
        trial = Movement(heads[source.id], heads[target.id], amount)
        refusal = _refusal_of_one(trial, overdraw=overdraw)
        if refusal is not None:
            return refusal
        trial.source.balance -= amount
        trial.target.balance += amount
    return None


def _refusal_of_one(movement: Movement, *, overdraw: bool) -> NostroError | None:
    source, target, amount = movement
    if source.floor is not None and source.available - amount < source.floor and not overdraw:
        return too_little(source, amount)
    if target.ceiling is not None and target.balance + amount > target.ceiling:
        return CeilingExceeded()
    if source.balance - amount < INT64_MIN or target.balance + amount > INT64_MAX:
        return AmountOverflow()
    return None


def too_little(source: Account, amount: int) -> InsufficientFunds:
    assert source.floor is not None, "without a floor there is always enough"
    return InsufficientFunds(
        required=amount,
        available=source.available - source.floor,
        currency=source.currency,
        exponent=source.exponent,
        account=source.id,
    )


_RANK = {refusal: rank for rank, refusal in enumerate(PRECEDENCE)}


def first_of(refusals: Sequence[NostroError]) -> NostroError:
    """Of several refusals the one that the published precedence puts first."""
    return min(refusals, key=lambda refusal: _RANK.get(type(refusal), len(_RANK)))
