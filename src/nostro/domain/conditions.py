"""Preconditions: what a request expects of an account when it is decided, judged under the lock."""

from collections.abc import Sequence
from decimal import Decimal

from nostro.domain.account import Account
from nostro.domain.errors import NostroError, NotAccountOwner, PreconditionFailed
from nostro.domain.requests import Condition
from nostro.domain.user import Caller, Role


def refusal_of_conditions(
    conditions: Sequence[Condition], source: Account, target: Account, caller: Caller
) -> NostroError | None:
    """The first condition that does not hold, with the value as it is.

    Only who may see an account may ask about it: a condition would tell its balance by trying.
    """
    for condition in conditions:
        account = source if condition.payer else target
        if account.owner != caller.id and caller.role is Role.CUSTOMER:
            return NotAccountOwner("A condition may only be put on an account of your own")
        actual = account.balance if condition.what == "balance" else account.last_seq
        if not _holds(condition, account, actual):
            return _failed(condition, account, actual)
    return None


def _holds(condition: Condition, account: Account, actual: int) -> bool:
    expected = condition.value
    if condition.what == "balance":
        expected = condition.value * Decimal(10) ** account.exponent
    return {"gte": actual >= expected, "lte": actual <= expected, "eq": actual == expected}[condition.test]


def _failed(condition: Condition, account: Account, actual: int) -> PreconditionFailed:
    if condition.what == "version":
        return PreconditionFailed(condition="ifVersion", account=account.id.hex(), version=actual)
    return PreconditionFailed(
        condition="ifBalance",
        account=account.id.hex(),
        balance=actual,
        currency=account.currency,
        exponent=account.exponent,
    )
