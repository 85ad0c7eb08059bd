"""Opening an account: its row and its event, in the caller's transaction. The only place that does."""

from nostro.domain.details import Details
from nostro.domain.ids import ObjectId
from nostro.domain.money import Currency
from nostro.ledger.identity import new_id
from nostro.store import accounts, journal
from nostro.store.accounts import AccountRow
from nostro.store.database import Connection


async def open_in(
    connection: Connection, owner: ObjectId, currency: Currency, *, settlement: bool, details: Details
) -> AccountRow:
    """The last act of the transaction that `connection` is in: the event takes its position."""
    row = await accounts.insert_account(connection, new_id(), owner, currency, details, settlement=settlement)
    await journal.append_event(
        connection,
        "ACCOUNT_OPENED",
        actor=owner,
        user=owner,
        account=row.id,
        currency=currency.code,
        settlement=settlement,
    )
    return row
