"""Publishes to a broker and is killed when the broker has acknowledged, before the cursor can move.

python -m tests.fault.killed_publisher DATABASE_URL BROKER_URL
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from nostro.domain.event import Event
from nostro.domain.money import Currency
from nostro.followers.brokers import open_brokers
from nostro.followers.frame import OrderedFollower
from nostro.followers.running import follow
from nostro.ledger.service import open_ledger


class Killed:
    """The follower that it is made of, but for its end."""

    def __init__(self, follower: OrderedFollower) -> None:
        self.name = follower.name
        self._follower = follower

    async def publish(self, events: Sequence[Event]) -> None:
        await self._follower.publish(events)
        os.kill(os.getpid(), signal.SIGKILL)


async def main(database_url: str, broker_url: str) -> None:
    setting = "NOSTRO_NATS_URL" if broker_url.startswith("nats") else "NOSTRO_AMQP_URL"
    async with (
        open_ledger(database_url, house_currency=Currency("INR", 2)) as ledger,
        open_brokers({setting: broker_url}) as (follower,),
    ):
        await follow(ledger.database, Killed(follower), stopping=asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
