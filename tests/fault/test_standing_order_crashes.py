"""Standing orders while the service is killed again and again: each occurrence is carried out once, none twice.

The orders are months behind, so that occurrence follows occurrence. Services are killed at random moments and
started again; whatever was claimed is let go at once, as a lease would let it go in time. Each time the owner
then cancels an order, and in the end all of them. Every order must have its occurrences without a gap, each
with its transfer, and none of them later in the journal than its cancellation was acknowledged.
"""

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
import pytest

from tests.client import Client, Person
from tests.conftest import Service
from tests.contract.conftest import Tables
from tests.fault.embedded_process import until
from tests.fault.scene import SYSTEM, with_a_system_user

PATH = "/api/standing-orders"
_BEHIND = """
UPDATE standing_orders SET starts_at = since, due_at = since, wakes_at = since
  FROM (SELECT date_trunc('minute', now()) - interval '300 days' AS since) AS m
"""
# Also what those are at who live: they find out that somebody else is at it, too.
_LET_GO = """
UPDATE standing_orders SET leased_until = now()
 WHERE id IN (SELECT id FROM standing_orders WHERE mandate IS NOT NULL FOR UPDATE SKIP LOCKED)
"""
_CARRIED_OUT = """
SELECT r.occurrence, r.due_at, t.position FROM standing_order_runs r
  LEFT JOIN transactions t ON t.id = r.transaction_id WHERE r.order_id = $1 ORDER BY r.occurrence
"""


@dataclass
class Scene:
    """Services on one database, the tables behind them, and Ann, whose orders pay one account from another."""

    launch: Callable[..., Service]
    tables: Tables
    ann: Person
    services: list[Service]
    chance: random.Random
    orders: list[str] = field(default_factory=list)
    cancelled: dict[str, int] = field(default_factory=dict)  # the journal's head when it was acknowledged

    def make_orders(self, count: int) -> None:
        source, target = self.ann.open_account(), self.ann.open_account()
        assert self.ann.client.log_in(*SYSTEM).fund(source, 10_000_000).status_code == 201
        body = {"fromAccount": source, "toAccount": target, "amount": 1, "cron": "* * * * *"}
        made = [self.ann.post(PATH, body | {"idempotencyKey": f"order-{nth}"}) for nth in range(count)]
        self.orders = [answer.json()["standingOrder"]["_id"] for answer in made]
        self.tables.script(_BEHIND)

    def kill_and_start_again(self) -> None:
        more = self.carried_out() + self.chance.randint(1, 60)
        until(lambda: self.carried_out() >= more and self.under_way())
        nth = self.chance.randrange(len(self.services))
        self.services[nth].stop(signal.SIGKILL)
        self.tables.script(_LET_GO)
        self.services[nth] = self.launch()

    def carried_out(self) -> int:
        return int(self.tables.value("SELECT count(*) FROM standing_order_runs"))

    def under_way(self) -> int:
        return int(self.tables.value("SELECT count(mandate) FROM standing_orders"))

    def cancel(self, order: str) -> None:
        """However often it has to be asked for."""

        def acknowledged() -> bool:
            answer = httpx2.post(
                f"{self.chance.choice(self.services).url}{PATH}/{order}/cancel",
                headers={"Authorization": f"Bearer {self.ann.token}"},
                timeout=10,
            )
            assert answer.status_code in {200, 503}, answer.text
            return answer.status_code == 200

        until(acknowledged)
        self.cancelled[order] = self.tables.position()

    def hold_to_account(self) -> None:
        transfers = 0
        for order in self.orders:
            rows = self.tables.rows(_CARRIED_OUT, bytes.fromhex(order))
            assert [row["occurrence"] for row in rows] == list(range(1, len(rows) + 1))
            assert len({row["due_at"] for row in rows}) == len(rows)
            positions = [row["position"] for row in rows]
            assert positions == sorted(positions), "one occurrence after the other"
            assert not positions or positions[-1] <= self.cancelled[order]
            transfers += len(rows)
        assert transfers == self.tables.value("SELECT count(*) FROM transactions WHERE kind = 'TRANSFER'")
        verified = self.services[0].command("verify")
        assert verified.returncode == 0, verified.stdout


@contextmanager
def a_scene(launch: Callable[..., Service], database_url: str, services: int, seed: int) -> Iterator[Scene]:
    running = [with_a_system_user(launch()), *(launch() for _ in range(services - 1))]
    client, tables = Client(running[0].url), Tables(database_url)
    try:
        yield Scene(launch, tables, client.register("Ann"), running, random.Random(seed))
    finally:
        client.close()
        tables.close()


def kill_services_that_carry_out_orders(scene: Scene, kills: int) -> None:
    scene.make_orders(2 * kills)
    for order in scene.orders[:kills]:
        scene.kill_and_start_again()
        scene.cancel(order)
    for order in scene.orders[kills:]:
        scene.cancel(order)
    scene.hold_to_account()


@pytest.mark.slow
@pytest.mark.parametrize("services", [1, 2])
def test_no_occurrence_is_lost_or_repeated_when_services_are_killed(
    start_service: Callable[..., Service], database_url: str, services: int
) -> None:
    with a_scene(start_service, database_url, services, seed=services) as scene:
        kill_services_that_carry_out_orders(scene, kills=3)


@pytest.mark.full
def test_no_occurrence_is_lost_or_repeated_however_often_services_are_killed(
    start_service: Callable[..., Service], database_url: str
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    with a_scene(start_service, database_url, 2, seed) as scene:
        kill_services_that_carry_out_orders(scene, kills=40)
        taken_over = scene.tables.value("SELECT count(*) FROM revoked_tokens WHERE expires_at = 'infinity'")
        assert taken_over > 0, "nobody was killed while they were at an order"
