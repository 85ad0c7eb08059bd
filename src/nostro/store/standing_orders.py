"""Standing orders and their runs, as rows."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from nostro.domain.ids import ObjectId
from nostro.domain.money import Currency
from nostro.domain.schedule import Schedule
from nostro.domain.standing_order import CatchUp, OrderStatus, Retry, Run, RunStatus, StandingOrder
from nostro.store.database import Connection
from nostro.store.queries import SQL

Request = dict[str, str]


class Claimed(NamedTuple):
    """An order this process is at, and the database's clock when it became so."""

    order: StandingOrder
    now: datetime


def _order(row: Any) -> StandingOrder:
    return StandingOrder(
        id=row["id"],
        owner=row["owner"],
        from_account=row["from_account"],
        to_account=row["to_account"],
        amount=row["amount"],
        currency=Currency(row["currency"], row["exponent"]),
        schedule=Schedule(
            starts=row["starts_at"],
            zone=row["time_zone"],
            at=row["run_at"],
            cron=row["cron"],
            every_days=row["every_days"],
            every_months=row["every_months"],
            day_of_month=row["day_of_month"],
        ),
        ends_at=row["ends_at"],
        times=row["times"],
        retry=Retry(row["max_attempts"], row["retry_minutes"]),
        catch_up=CatchUp(row["catch_up"]),
        description=row["description"],
        key=row["idempotency_key"],
        status=OrderStatus(row["status"]),
        failure_code=row["failure_code"],
        occurrence=row["occurrence"],
        attempts=row["attempts"],
        due_at=row["due_at"],
        wakes_at=row["wakes_at"],
        mandate=row["mandate"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


async def clock(connection: Connection) -> datetime:
    now: datetime = await connection.fetchval(SQL["clock"])
    return now


async def insert_order(connection: Connection, order: StandingOrder, request: Request) -> bool:
    """False when the owner used the key before. `request`: what was asked for, field by field."""
    schedule = order.schedule
    inserted = await connection.fetchval(
        SQL["insert_order"],
        order.id,
        order.owner,
        order.from_account,
        order.to_account,
        order.amount,
        order.currency.code,
        order.currency.exponent,
        schedule.at,
        schedule.cron,
        schedule.every_days,
        schedule.every_months,
        schedule.day_of_month,
        schedule.zone,
        schedule.starts,
        order.ends_at,
        order.times,
        order.retry.attempts,
        order.retry.minutes,
        order.catch_up.value,
        order.description,
        order.due_at,
        order.key,
        json.dumps(request),
        order.created_at,
    )
    return inserted is not None


async def order_by_id(connection: Connection, order: ObjectId) -> StandingOrder | None:
    found = await _orders_by_id(connection, [order])
    return found[0] if found else None


async def _orders_by_id(connection: Connection, orders: Sequence[ObjectId]) -> list[StandingOrder]:
    """Newest first."""
    return [_order(row) for row in await connection.fetch(SQL["orders_by_id"], orders)]


async def order_of_key(connection: Connection, owner: ObjectId, key: str) -> tuple[ObjectId, Request] | None:
    """The order that the owner's key stands for, and what was asked for under it."""
    row = await connection.fetchrow(SQL["order_of_key"], owner, key)
    return (row["id"], json.loads(row["request"])) if row else None


async def lock_order(connection: Connection, order: ObjectId) -> StandingOrder | None:
    """Lock the order until the transaction ends, and read it as it stands under the lock."""
    await connection.execute(SQL["lock_order"], order)
    return await order_by_id(connection, order)


async def orders_of(
    connection: Connection,
    owner: ObjectId | None,
    *,
    before: ObjectId | None,
    status: OrderStatus | None,
    limit: int,
) -> list[StandingOrder]:
    """Newest first; `owner` None: everybody's."""
    wanted = status.value if status else None
    if owner is None:
        rows = await connection.fetch(SQL["newest_orders"], before, wanted, limit)
    else:
        rows = await connection.fetch(SQL["orders_of"], owner, before, wanted, limit)
    return await _orders_by_id(connection, [row["id"] for row in rows])


async def claim_orders(connection: Connection, limit: int, lease_s: float) -> list[Claimed]:
    """Orders whose time has come, each under a mandate of this claim until the lease ends."""
    rows = await connection.fetch(SQL["claim_orders"], limit, lease_s)
    return [Claimed(_order(row), row["now"]) for row in rows]


async def revoke_mandate(connection: Connection, order: StandingOrder) -> None:
    """Holds once committed: no later batch of the committer moves money under the order's mandate."""
    await connection.execute(SQL["revoke_mandate"], order.mandate, order.owner)


async def save_orders(
    connection: Connection, orders: Sequence[tuple[StandingOrder, bytes | None]]
) -> dict[ObjectId, datetime]:
    """Write what can change of each order, and give it back; when that was.

    One whose mandate is not (any more) what is given beside it is left as it is, and out of the answer.
    """
    rows = await connection.fetchmany(SQL["save_order"], [_changeable(*pair) for pair in orders])
    return {row["id"]: row["updated_at"] for row in rows}


def _changeable(order: StandingOrder, mandate: bytes | None) -> tuple[object, ...]:
    return (
        order.id,
        mandate,
        order.amount,
        order.ends_at,
        order.times,
        order.retry.attempts,
        order.retry.minutes,
        order.catch_up.value,
        order.description,
        order.status.value,
        order.failure_code,
        order.occurrence,
        order.attempts,
        order.due_at,
        order.wakes_at,
    )


async def save_runs(connection: Connection, runs: Sequence[tuple[ObjectId, Run]]) -> None:
    """Each with the order it is of."""
    await connection.executemany(
        SQL["save_run"],
        [
            (
                order,
                run.occurrence,
                run.due_at,
                run.status.value,
                run.attempts,
                run.code,
                run.transaction,
                run.next_attempt_at,
            )
            for order, run in runs
        ],
    )


async def runs_of(connection: Connection, order: ObjectId, before: int | None, limit: int) -> list[Run]:
    """Newest first."""
    rows = await connection.fetch(SQL["runs_of"], order, before, limit)
    return [Run(**(dict(row) | {"status": RunStatus(row["status"])})) for row in rows]


async def transaction_of_run(connection: Connection, order: StandingOrder) -> ObjectId | None:
    """The transfer of the order's next occurrence, if it has been made."""
    made: ObjectId | None = await connection.fetchval(SQL["transaction_of_run"], order.owner, order.run_key)
    return made


async def any_closed(connection: Connection, accounts: Sequence[ObjectId]) -> bool:
    closed: bool = await connection.fetchval(SQL["any_closed"], accounts)
    return closed
