"""Which parts of the journal concern whom (sql/streams.sql)."""

from typing import NamedTuple

from nostro.domain.ids import ObjectId
from nostro.store.database import Connection
from nostro.store.queries import SQL


class Concerned(NamedTuple):
    """Two users whom a position concerns; None and None where only the event itself knows."""

    position: int
    payer: ObjectId | None
    payee: ObjectId | None


async def concerned(connection: Connection, after: int, window: int) -> tuple[int, list[Concerned]]:
    """Where the journal stands, and whom the next `window` positions concern. One can come more than once."""
    rows = await connection.fetch(SQL["concerned"], after, window)
    return rows[0][0], [Concerned(*row[1:]) for row in rows if row[1] is not None]
