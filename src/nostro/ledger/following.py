"""What operators see of followers and can do to them: replay from a position, send again what was set aside."""

from dataclasses import dataclass

from nostro.domain.delivery import parse_delivery_id
from nostro.domain.errors import InvalidField, NotFound
from nostro.store import followers
from nostro.store.database import Database
from nostro.store.events import journal_head
from nostro.store.followers import FailedDelivery, FollowerState

KEEP_SENT_DAYS = 30
KEEP_SET_ASIDE_DAYS = 90
_SWEPT_AT_ONCE = 2000


@dataclass(frozen=True)
class Following:
    database: Database

    async def states(self) -> list[FollowerState]:
        """Every follower that ever ran, by name."""
        async with self.database.connection() as connection:
            return await followers.states(connection)

    async def replay(self, name: str, position: int) -> None:
        """Let the follower begin again behind `position`: what comes after is delivered once more, same ids.

        Raises `NotFound` for an unknown follower, `InvalidField` for a position the journal has not reached.
        """
        async with self.database.transaction() as connection:
            head = (await journal_head(connection)).position
            if not 0 <= position <= head:
                raise InvalidField("position", f"must be from 0 to {head}, where the journal stands")
            if not await followers.set_cursor(connection, name, position):
                raise _unknown(name)

    async def failures(self, name: str, limit: int) -> list[FailedDelivery]:
        """The oldest `limit` deliveries that were set aside, or failed and will be tried again."""
        async with self.database.connection() as connection:
            await self._known(name)
            return await followers.failed_deliveries(connection, name, limit)

    async def retry(self, name: str, delivery: str | None) -> int:
        """Send again, now: one delivery by its id, or all that were set aside; how many. `NotFound`."""
        await self._known(name)
        async with self.database.transaction() as connection:
            if delivery is None:
                return await followers.retry(connection, name)
            parts = parse_delivery_id(delivery)
            target = None
            if parts is not None and parts.follower == name:
                target = await followers.target_of(connection, name, parts.position, parts.digest)
            if parts is None or target is None:
                raise NotFound(f"{name} has no delivery {delivery}")
            return await followers.retry(connection, name, parts.position, target)

    async def forget_old(self) -> None:
        """Deliveries sent, or set aside, longer ago than they are kept. The journal keeps what they told of."""
        forgotten = _SWEPT_AT_ONCE
        while forgotten == _SWEPT_AT_ONCE:
            async with self.database.background() as connection:
                forgotten = await followers.forget_old(
                    connection,
                    _SWEPT_AT_ONCE,
                    sent_days=KEEP_SENT_DAYS,
                    set_aside_days=KEEP_SET_ASIDE_DAYS,
                )

    async def _known(self, name: str) -> None:
        if name not in {state.name for state in await self.states()}:
            raise _unknown(name)


def _unknown(name: str) -> NotFound:
    return NotFound(f"There is no follower called {name}")
