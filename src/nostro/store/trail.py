"""The audit trail of an account, as it was written into the journal."""

from datetime import datetime
from typing import NamedTuple

import msgspec

from nostro.domain.ids import ObjectId
from nostro.store.database import Connection
from nostro.store.queries import SQL

AUDITED = ("ACCOUNT_OPENED", "ACCOUNT_STATUS_CHANGED", "ACCOUNT_DETAILS_CHANGED", "LIMITS_CHANGED")

_decode_details = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class AccountEvent(NamedTuple):
    """`actor` None: the command line. `details` are undecoded, so that numbers keep their digits."""

    position: int
    kind: str
    created_at: datetime
    actor: ObjectId | None
    details: dict[str, msgspec.Raw]


async def account_events(
    connection: Connection, account: ObjectId, *, limit: int, skip: int
) -> list[AccountEvent]:
    """Newest first."""
    rows = await connection.fetch(SQL["account_events"], account, AUDITED, limit, skip)
    return [
        AccountEvent(position, kind, created_at, actor, _decode_details(details))
        for position, kind, created_at, actor, details in rows
    ]
