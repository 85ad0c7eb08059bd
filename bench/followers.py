"""What following costs, and how soon: transfers in one process with and without followers beside them.

    python bench/followers.py --rate 2000        how soon after its commit each event is first sent
    python bench/followers.py                    as many transfers as 64 callers can make

No HTTP on either side: callers use the ledger directly and deliveries end where they would be sent, so what is
measured is the frame alone. One follower makes a delivery of each transfer, for 20 targets; another publishes
everything in order. The server is an embedded PostgreSQL of its own, without and with followers a new one.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import uvloop

from nostro.domain.event import Event
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount, Currency
from nostro.domain.user import Claims, Role
from nostro.embedded import EmbeddedPostgres
from nostro.followers.frame import ClaimedDelivery, Delivery
from nostro.followers.running import following
from nostro.ledger.service import Ledger, open_ledger
from nostro.store.database import Connection
from nostro.store.migrate import ensure_database, migrate

RUPEES = Currency("INR", 2)
ACCOUNTS, CALLERS, TARGETS = 500, 64, 20


class Sent:
    """Makes a delivery of each transfer; notes how long after its event each is first sent."""

    name = "sent"

    def __init__(self) -> None:
        self.delays_s: list[float] = []

    async def deliveries(self, _: Connection, events: Sequence[Event]) -> list[Delivery]:
        return [
            Delivery(event.position, event.id, f"target {event.position % TARGETS}", event.document(None))
            for event in events
            if event.type == "transaction.completed"
        ]

    async def send(self, delivery: ClaimedDelivery) -> None:
        if delivery.attempt == 1:
            happened = datetime.fromisoformat(delivery.payload["time"]).timestamp()
            self.delays_s.append(time.time() - happened)


class Published:
    """Publishes everything in order; notes how long after it happened."""

    name = "published"

    def __init__(self) -> None:
        self.delays_s: list[float] = []

    async def publish(self, events: Sequence[Event]) -> None:
        now = time.time()
        self.delays_s += [now - event.time.timestamp() for event in events]


class Bank:
    """One person with many accounts, and money on each."""

    def __init__(self, ledger: Ledger, claims: Claims, accounts: list[ObjectId]) -> None:
        self._ledger = ledger
        self._claims = claims
        self._accounts = accounts
        self._chance = random.Random(1)
        self.made = 0

    @classmethod
    async def open(cls, ledger: Ledger) -> "Bank":
        system = await ledger.users.register("system@example.com", "a system secret", "System", Role.SYSTEM)
        ann = await ledger.users.register("ann@example.com", "correct horse", "Ann")
        accounts = [(await ledger.accounts.open(ann, RUPEES, {})).id for _ in range(ACCOUNTS)]
        for number, account in enumerate(accounts):
            await ledger.transfers.initial_funds(
                _token(system.id), key=f"fund-{number}", to_account=account, amount=Amount(1_000_000, 0)
            )
        return cls(ledger, _token(ann.id), accounts)

    async def transfer(self) -> None:
        self.made += 1
        source, target = self._chance.sample(self._accounts, 2)
        await self._ledger.transfers.transfer(
            self._claims,
            key=f"transfer-{self.made}",
            from_account=source,
            to_account=target,
            amount=Amount(1, 0),
        )


def _token(user: ObjectId) -> Claims:
    now = time.time()
    return Claims(user, b"\0" * 32, float(int(now)), now + 3600)


async def as_fast_as_possible(bank: Bank, seconds: float) -> None:
    end = time.perf_counter() + seconds

    async def call() -> None:
        while time.perf_counter() < end:
            await bank.transfer()

    await asyncio.gather(*(call() for _ in range(CALLERS)))


async def at_rate(bank: Bank, rate: float, seconds: float) -> None:
    began, due = time.perf_counter(), 0
    async with asyncio.TaskGroup() as group:
        while (passed := time.perf_counter() - began) < seconds:
            for _ in range(due, int(passed * rate)):
                group.create_task(bank.transfer())
            due = int(passed * rate)
            await asyncio.sleep(0.002)


@asynccontextmanager
async def a_bank(folder: Path) -> AsyncIterator[tuple[Ledger, Bank]]:
    with EmbeddedPostgres(folder, role="service") as server:
        await ensure_database(server.dsn(user="postgres", database="postgres"), "nostro")
        dsn = server.dsn(user="postgres", database="nostro")
        await migrate(dsn)
        async with open_ledger(dsn, house_currency=RUPEES) as ledger:
            yield ledger, await Bank.open(ledger)


async def round_of(options: argparse.Namespace, *, followed: bool) -> float:
    """One round on a server of its own; transfers per second."""
    followers = [Sent(), Published()] if followed else []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with (
            a_bank(Path(folder)) as (ledger, bank),
            following(ledger.database, followers, ledger.watch, ledger.recent),
        ):
            await asyncio.sleep(1)
            began = time.perf_counter()
            if options.rate:
                await at_rate(bank, options.rate, options.seconds)
            else:
                await as_fast_as_possible(bank, options.seconds)
            speed = bank.made / (time.perf_counter() - began)
            say(f"{'with' if followed else 'without'} followers: {speed:.0f} transfers/s")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(120):
                    # How soon is counted by the followers themselves, not by this look.
                    while any(len(each.delays_s) < bank.made for each in followers):  # noqa: ASYNC110
                        await asyncio.sleep(0.1)
            for follower in followers:
                say(f"  {follower.name}: {_told(follower.delays_s)} of {bank.made}")
            return speed


def _told(delays_s: list[float]) -> str:
    ordered = sorted(delays_s)
    if not ordered:
        return "0"
    at = (ordered[int(len(ordered) * part)] * 1000 for part in (0.5, 0.99, 0.9999))
    p50, p99, most = (f"{delay:.0f}" for delay in at)
    return f"first after p50 {p50} ms, p99 {p99} ms, p99.99 {most} ms; {len(ordered)}"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(options: argparse.Namespace) -> None:
    ratios = []
    for _ in range(options.rounds):
        without = await round_of(options, followed=False)
        ratios.append(await round_of(options, followed=True) / without)
    say(f"with / without: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rate", type=float, default=0, help="transfers due per second (default: all there can be)"
    )
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=1)
    uvloop.run(main(parser.parse_args()))
