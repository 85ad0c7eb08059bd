"""Followers as rows: cursors, leases and deliveries. What each statement promises stands in
sql/followers.sql."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from nostro.domain.delivery import WHOLE_EVENT, ClaimedDelivery, Delivery, delivery_id, names
from nostro.domain.event import event_id
from nostro.store.database import Connection
from nostro.store.documents import decode_document, encode_document
from nostro.store.queries import SQL

LANES = 64
LONGEST_ERROR = 500


class Claim(NamedTuple):
    """What one claim got, and the target that the next one goes on behind."""

    deliveries: list[ClaimedDelivery]
    next_target: str


class Mark(NamedTuple):
    """What became of a claimed delivery: SENT, SET_ASIDE, or PENDING again in `again_s` seconds.

    `given_back`: it was claimed and never tried, which counts as no attempt.
    """

    delivery: ClaimedDelivery
    status: str
    again_s: float = 0
    error: str | None = None
    given_back: bool = False


class FollowerState(NamedTuple):
    """`behind` in positions; `behind_s` is the age of the next one, None when there is none."""

    name: str
    position: int
    behind: int
    behind_s: float | None
    pending: int
    set_aside: int
    holder: str | None
    last_error: str | None
    failed_at: datetime | None


class FailedDelivery(NamedTuple):
    position: int
    target: str
    status: str
    attempts: int
    due_at: datetime
    created_at: datetime
    last_error: str | None


async def look(connection: Connection) -> tuple[int, int]:
    """Where the journal stands, and a number that rises whenever a cursor is set anew."""
    row = await connection.fetchrow(SQL["look"])
    return row["position"], row["replays"]


async def register(connection: Connection, name: str, start: int | None) -> None:
    """A follower that is new starts at `start`, or where the journal stands now; others stay where they are."""
    await connection.execute(SQL["register_follower"], name, start)


async def take_cursor(connection: Connection, name: str) -> int | None:
    """The cursor, locked until the transaction ends; None while another process is at it."""
    position: int | None = await connection.fetchval(SQL["take_cursor"], name)
    return position


async def move_cursor(connection: Connection, name: str, position: int) -> None:
    await connection.execute(SQL["move_cursor"], name, position)


async def take_lease(connection: Connection, name: str, holder: str, lease_s: float) -> int | None:
    """The fence under which `holder` may move the cursor; None while the lease is somebody's."""
    fence: int | None = await connection.fetchval(SQL["take_lease"], name, holder, lease_s)
    return fence


async def keep_lease(connection: Connection, name: str, fence: int, lease_s: float) -> int | None:
    """The cursor, with a lease made new; None when somebody else has taken over."""
    position: int | None = await connection.fetchval(SQL["keep_lease"], name, fence, lease_s)
    return position


async def give_up_lease(connection: Connection, name: str, fence: int) -> None:
    await connection.execute(SQL["give_up_lease"], name, fence)


async def move_cursor_under_fence(
    connection: Connection, name: str, fence: int, *, before: int, after: int, lease_s: float
) -> bool:
    """False when the fence has risen or the cursor was set elsewhere: then nothing has changed."""
    moved: bool | None = await connection.fetchval(
        SQL["move_cursor_under_fence"], name, fence, before, after, lease_s
    )
    return bool(moved)


async def note_failure(connection: Connection, name: str, error: str) -> None:
    await connection.execute(SQL["note_failure"], name, error[:LONGEST_ERROR])


async def add_deliveries(connection: Connection, name: str, deliveries: Sequence[Delivery]) -> None:
    """One per position and target; of two for the same the first counts."""
    distinct = {(one.position, one.target): one for one in reversed(deliveries)}
    rows = [distinct[key] for key in sorted(distinct)]
    await connection.execute(
        SQL["add_deliveries"],
        name,
        [row.position for row in rows],
        [row.target for row in rows],
        [encode_document(row.payload).decode() for row in rows],
    )


async def set_aside_event(
    connection: Connection, name: str, position: int, payload: dict[str, Any], error: str
) -> None:
    await connection.execute(
        SQL["set_aside_event"],
        name,
        position,
        WHOLE_EVENT,
        encode_document(payload).decode(),
        error[:LONGEST_ERROR],
    )


async def claim(  # noqa: PLR0917 - whose, from where, how many, how many of each, for how long, which not
    connection: Connection,
    name: str,
    after_target: str,
    limit: int,
    of_each: int,
    lease_s: float,
    but_not: Collection[str],
) -> Claim:
    """Claim up to `limit` due deliveries, `of_each` of one target, for `lease_s` seconds.

    Looks at up to `LANES` targets behind `after_target`; the next claim starts where this one ended, so that
    every target has its turn.
    """
    rows = await connection.fetch(
        SQL["claim_deliveries"], name, after_target, limit, of_each, lease_s, list(but_not)
    )
    claimed = [_claimed(name, row) for row in rows if row["position"] is not None]
    if len(claimed) == limit:
        return Claim(claimed, max(one.target for one in claimed))
    more = rows[0]["lanes"] == LANES
    return Claim(claimed, rows[0]["last"] if more else "")


def _claimed(name: str, row: Any) -> ClaimedDelivery:
    return ClaimedDelivery(
        id=delivery_id(name, row["position"], row["target"]),
        follower=name,
        position=row["position"],
        event_id=event_id(row["position"]),
        target=row["target"],
        payload=decode_document(row["payload"]),
        attempt=row["attempts"],
        fence=row["fence"],
    )


async def mark(connection: Connection, marks: Sequence[Mark]) -> int:
    """Write down what became of deliveries; how many of the marks counted."""
    rows = await connection.fetch(
        SQL["mark_deliveries"],
        [one.delivery.follower for one in marks],
        [one.delivery.position for one in marks],
        [one.delivery.target for one in marks],
        [one.delivery.fence for one in marks],
        [one.status for one in marks],
        [one.again_s for one in marks],
        [one.error[:LONGEST_ERROR] if one.error else None for one in marks],
        [one.given_back for one in marks],
    )
    return len(rows)


async def waiting(connection: Connection, name: str, most: int) -> int:
    """How many deliveries wait to be sent; `most` stands for that many or more."""
    count: int = await connection.fetchval(SQL["waiting_deliveries"], name, most)
    return count


async def states(connection: Connection) -> list[FollowerState]:
    return [FollowerState(*row) for row in await connection.fetch(SQL["follower_states"])]


async def set_cursor(connection: Connection, name: str, position: int) -> bool:
    """False when there is no follower of that name."""
    return await connection.fetchval(SQL["set_cursor"], name, position) is not None


async def failed_deliveries(connection: Connection, name: str, limit: int) -> list[FailedDelivery]:
    return [FailedDelivery(*row) for row in await connection.fetch(SQL["failed_deliveries"], name, limit)]


async def target_of(connection: Connection, name: str, position: int, digest: str) -> str | None:
    """The target of the delivery whose id has these parts."""
    rows = await connection.fetch(SQL["deliveries_at"], name, position)
    return next((row["target"] for row in rows if names(digest, row["target"])), None)


async def retry(
    connection: Connection, name: str, position: int | None = None, target: str | None = None
) -> int:
    """Make one delivery due now, or everything of the follower that was set aside; how many."""
    return len(await connection.fetch(SQL["retry_deliveries"], name, position, target))


async def forget_old(connection: Connection, limit: int, *, sent_days: int, set_aside_days: int) -> int:
    """Delete up to `limit` old deliveries; how many were."""
    return len(await connection.fetch(SQL["forget_old_deliveries"], limit, sent_days, set_aside_days))
