"""Floor, ceiling and limits of an account as rows. What is used of them the committer counts (journal.py)."""

from datetime import datetime
from typing import NamedTuple

from nostro.domain.ids import ObjectId
from nostro.store.database import Connection
from nostro.store.queries import SQL


class Bounds(NamedTuple):
    """What an account may have and pay, in minor units; `hourly` is a number of transfers. None: no limit."""

    floor: int | None
    ceiling: int | None
    single: int | None
    daily: int | None
    monthly: int | None
    hourly: int | None

    @property
    def limited(self) -> bool:
        return any(limit is not None for limit in (self.single, self.daily, self.monthly, self.hourly))


class Usage(NamedTuple):
    """What was spent of a limit in the period that ends with `until`."""

    used: int
    until: datetime


class LimitsRow(NamedTuple):
    """`usage` by limit (hourly, daily, monthly), empty while nothing is counted."""

    bounds: Bounds
    usage: dict[str, Usage]

    def remaining(self, name: str) -> int | None:
        """What is left of a limit that has a period; a limit set below what was used leaves nothing."""
        limit: int | None = getattr(self.bounds, name)
        return None if limit is None else max(limit - self.usage[name].used, 0)


async def limits_of(connection: Connection, account: ObjectId) -> LimitsRow:
    """Of an account that is there."""
    row = await connection.fetchrow(SQL["limits_of"], account)
    bounds = Bounds(
        row["floor"],
        row["ceiling"],
        row["single_limit"],
        row["day_limit"],
        row["month_limit"],
        row["hour_limit"],
    )
    usage = {
        "hourly": Usage(row["hour_count"], row["hour_end"]),
        "daily": Usage(row["day_paid"], row["day_end"]),
        "monthly": Usage(row["month_paid"], row["month_end"]),
    }
    return LimitsRow(bounds, usage if row["limited"] else {})


async def set_limits(connection: Connection, account: ObjectId, bounds: Bounds) -> None:
    """Under the account's lock. What is used so far of the current periods is counted anew."""
    moment = await connection.fetchval(SQL["set_bounds"], account, bounds.floor, bounds.ceiling, bounds.limited)
    if not bounds.limited:
        await connection.execute(SQL["clear_limits"], account)
        return
    limits = (bounds.single, bounds.daily, bounds.monthly, bounds.hourly)
    await connection.execute(SQL["set_limits"], account, *limits, moment)
