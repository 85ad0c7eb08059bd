"""Rounds of statements as rows: which month, and how far among the accounts."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from nostro.domain.ids import ObjectId
from nostro.store.database import Connection
from nostro.store.queries import SQL


class Round(NamedTuple):
    """Of what was recorded from `since` up to, but not with, `until`; done up to the account `after`."""

    until: datetime
    since: datetime
    after: ObjectId


class Visited(NamedTuple):
    account: ObjectId
    owner: ObjectId
    moved: bool


async def begin(connection: Connection) -> None:
    await connection.execute(SQL["begin_round"])


async def take(connection: Connection) -> Round | None:
    row = await connection.fetchrow(SQL["take_round"])
    return Round(*row) if row else None


async def next_accounts(connection: Connection, one: Round, limit: int) -> list[Visited]:
    rows = await connection.fetch(SQL["accounts_in_round"], one.after, one.since, one.until, limit)
    return [Visited(*row) for row in rows]


async def move(connection: Connection, one: Round, after: ObjectId, *, finished: bool) -> None:
    await connection.execute(SQL["move_round"], one.until, after, finished)


async def append_events(connection: Connection, told: Sequence[Visited], details: dict[str, str]) -> None:
    """The last act of a transaction: the events take their positions."""
    await connection.execute(
        SQL["append_statements_ready"],
        [one.account for one in told],
        [one.owner for one in told],
        json.dumps(details),
    )
