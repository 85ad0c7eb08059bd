"""The ledger as one thing: everything it can do, opened and closed together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from nostro.domain.books import Policy
from nostro.domain.money import Currency
from nostro.ledger.accounts import Accounts
from nostro.ledger.balances import BalanceReader
from nostro.ledger.committer import Committer
from nostro.ledger.counts import Counts
from nostro.ledger.currencies import Currencies
from nostro.ledger.events import EventReader
from nostro.ledger.follow_ups import FollowUps
from nostro.ledger.following import Following
from nostro.ledger.head import JournalWatch
from nostro.ledger.history import History
from nostro.ledger.limits import Limits
from nostro.ledger.passwords import Passwords
from nostro.ledger.periods import Periods
from nostro.ledger.previews import Previews
from nostro.ledger.rates import Rates
from nostro.ledger.recent import Recent
from nostro.ledger.reports import Reports
from nostro.ledger.standing_orders import StandingOrders
from nostro.ledger.statement_notices import StatementNotices
from nostro.ledger.statements import Statements
from nostro.ledger.sweeper import sweep
from nostro.ledger.transfers import Transfers
from nostro.ledger.typesetting import Typesetter
from nostro.ledger.users import Users
from nostro.ledger.verify import Verification, verify
from nostro.ledger.webhook_deliveries import WebhookDeliveries
from nostro.store.database import Database


@dataclass(frozen=True)
class Ledger:
    database: Database
    users: Users
    accounts: Accounts
    limits: Limits
    currencies: Currencies
    rates: Rates
    transfers: Transfers
    follow_ups: FollowUps
    previews: Previews
    balances: BalanceReader
    events: EventReader
    following: Following
    history: History
    standing_orders: StandingOrders
    watch: JournalWatch
    recent: Recent
    webhook_deliveries: WebhookDeliveries
    periods: Periods
    reports: Reports
    statements: Statements
    statement_notices: StatementNotices
    typesetter: Typesetter
    house_currency: Currency
    counts: Counts
    policy: Policy

    async def ping(self) -> None:
        """Raises `DatabaseUnavailable` unless the database answers now."""
        async with self.database.connection() as connection:
            await connection.execute("SELECT 1")

    async def sweep_holds(self) -> int:
        """Write the EXPIRY of holds whose time is over; how many accounts had some."""
        return await sweep(self.database, self.policy)

    async def verify(self) -> Verification:
        return await verify(self.database)


@asynccontextmanager
async def open_ledger(
    dsn: str, *, house_currency: Currency, frozen_receives: bool = False, counts: Counts | None = None
) -> AsyncIterator[Ledger]:
    """A ledger on the migrated database at `dsn`. On leaving, what was accepted is finished first."""
    passwords = Passwords()
    counts = counts or Counts()
    policy = Policy(house_currency.exponent, frozen_receives)
    try:
        async with (
            Database(dsn) as database,
            Committer(database, policy, counts=counts) as committer,
            BalanceReader(database) as balances,
            JournalWatch(database) as watch,
        ):
            transfers = Transfers(database, committer)
            currencies = Currencies(database)
            yield Ledger(
                database=database,
                users=Users(database, passwords, house_currency),
                accounts=Accounts(database),
                transfers=transfers,
                follow_ups=FollowUps(committer),
                previews=Previews(database, policy, transfers),
                limits=Limits(database),
                currencies=currencies,
                rates=Rates(database, currencies),
                balances=balances,
                events=EventReader(database),
                following=Following(database),
                history=History(database),
                standing_orders=StandingOrders(database, house_currency),
                watch=watch,
                recent=committer.recent,
                webhook_deliveries=WebhookDeliveries(database),
                periods=Periods(database),
                reports=Reports(database),
                statements=Statements(database),
                statement_notices=StatementNotices(database),
                typesetter=Typesetter(),
                house_currency=house_currency,
                counts=counts,
                policy=policy,
            )
    finally:
        passwords.close()
