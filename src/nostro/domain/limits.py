"""What an account may pay in an hour, a day and a month of UTC; judged and counted under the account's lock.

What counts: transfers, initial funds, exchanges and holds, when they are made. A capture was counted with its
hold. What a hold lets go is given back if the hold was made in the same period. Refunds are no spending.
"""

from dataclasses import dataclass
from datetime import datetime

from nostro.domain.account import Account
from nostro.domain.errors import LimitExceeded
from nostro.domain.ids import ObjectId


@dataclass(slots=True)
class Limits:
    """Amounts in minor units; `hour_limit` is a number of transfers. None: no such limit.

    `…_start` is the beginning of the period that the count beside it belongs to.
    """

    account: ObjectId
    single_limit: int | None
    day_limit: int | None
    month_limit: int | None
    hour_limit: int | None
    hour_start: datetime
    hour_count: int
    day_start: datetime
    day_paid: int
    month_start: datetime
    month_paid: int

    def begin(self, now: datetime) -> None:
        """A period that is over no longer counts."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        day, month = hour.replace(hour=0), hour.replace(hour=0, day=1)
        if self.hour_start != hour:
            self.hour_start, self.hour_count = hour, 0
        if self.day_start != day:
            self.day_start, self.day_paid = day, 0
        if self.month_start != month:
            self.month_start, self.month_paid = month, 0

    def refusal(self, amount: int, account: Account) -> LimitExceeded | None:
        """The first limit that paying `amount` more would exceed, and what is left of it."""
        left_of = {
            "single": self.single_limit,
            "daily": _less(self.day_limit, self.day_paid),
            "monthly": _less(self.month_limit, self.month_paid),
        }
        if self.hour_limit is not None and self.hour_count >= self.hour_limit:
            return LimitExceeded(limit="hourly", remaining=0)
        for name, left in left_of.items():
            if left is not None and left < amount:
                return LimitExceeded(
                    limit=name,
                    required=amount,
                    remaining=max(left, 0),
                    currency=account.currency,
                    exponent=account.exponent,
                )
        return None

    def count(self, amount: int) -> None:
        self.hour_count += 1
        self.day_paid += amount
        self.month_paid += amount

    def give_back(self, amount: int, placed_at: datetime) -> None:
        if placed_at >= self.day_start:
            self.day_paid -= amount
        if placed_at >= self.month_start:
            self.month_paid -= amount


def _less(limit: int | None, used: int) -> int | None:
    return None if limit is None else limit - used
