"""Which parts of the journal concern whom (sql/streams.sql)."""

from collections.abc import Sequence
from typing import NamedTuple

from nostro.domain.ids import ObjectId
from nostro.store.database import Connection
from nostro.store.queries import SQL


class Concerned(NamedTuple):
    """Two users whom a position concerns; None and None where only the event itself knows."""

    position: int
    payer: ObjectId | None
    payee: ObjectId | None


async def concerned(connection: Connection, positions: Sequence[int]) -> list[Concerned]:
    """Whom those positions concern, which the journal has reached. One can come more than once."""
    return [Concerned(*row) for row in await connection.fetch(SQL["concerned"], positions)]
