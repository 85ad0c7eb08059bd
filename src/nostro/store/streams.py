"""Which parts of the journal concern whom (sql/streams.sql)."""

from typing import NamedTuple

from nostro.domain.ids import ObjectId
from nostro.store.database import Connection
from nostro.store.queries import SQL


class Concerned(NamedTuple):
    """Two users whom a position concerns; None and None where only the event itself knows. A position can come
    more than once."""

    position: int
    payer: ObjectId | None
    payee: ObjectId | None


async def concerned(connection: Connection, after: int, until: int) -> list[Concerned]:
    """Of every position in the window, in order."""
    return [Concerned(*row) for row in await connection.fetch(SQL["concerned"], after, until)]
