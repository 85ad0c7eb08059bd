"""Standing orders while the service is killed again and again: each occurrence is carried out once, none twice.

The orders are far behind, so that occurrence follows occurrence. Services are killed at random moments and
started again; what a dead one had claimed is let go at once, as its lease would let it go in time. Meanwhile
their owner cancels some of them. In the end every order has its occurrences, each with its transfer, and none
that was cancelled has one later in the journal than the cancellation was acknowledged.
"""

import random
import signal
import time
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
UPDATE standing_orders SET starts_at = since, due_at = since, wakes_at = since, times = {missed}
  FROM (SELECT date_trunc('minute', now()) - interval '{missed} minutes' AS since) AS m
"""


@dataclass
class Scene:
    """Services on one database, the tables behind them, and Ann, whose orders pay one account from another."""

    launch: Callable[..., Service]
    tables: Tables
    ann: Person
    services: list[Service]
    chance: random.Random
    cancelled: dict[str, int] = field(default_factory=dict)  # the journal's head when it was acknowledged

    def make_orders(self, count: int, missed: int) -> list[str]:
        """Orders that missed so many occurrences and end after them."""
        source, target = self.ann.open_account(), self.ann.open_account()
        system = self.ann.client.log_in(*SYSTEM)
        assert system.fund(source, count * missed).status_code == 201
        body = {"fromAccount": source, "toAccount": target, "amount": 1, "cron": "* * * * *"}
        made = [self.ann.post(PATH, body | {"idempotencyKey": f"order-{nth}"}) for nth in range(count)]
        self.tables.script(_BEHIND.format(missed=missed))
        return [answer.json()["standingOrder"]["_id"] for answer in made]

    def kill_and_start_again(self) -> None:
        time.sleep(self.chance.uniform(0.05, 0.5))  # the moment of the murder is what is random here
        nth = self.chance.randrange(len(self.services))
        self.services[nth].stop(signal.SIGKILL)
        self.tables.script("UPDATE standing_orders SET leased_until = now() WHERE mandate IS NOT NULL")
        self.services[nth] = self.launch()

    def cancel(self, order: str) -> None:
        """However often it has to be asked for."""

        def acknowledged() -> bool:
            url = self.chance.choice(self.services).url
            try:
                answer = httpx2.post(
                    f"{url}{PATH}/{order}/cancel",
                    headers={"Authorization": f"Bearer {self.ann.token}"},
                    timeout=10,
                )
            except httpx2.TransportError:
                return False
            if answer.status_code == 200:
                self.cancelled[order] = self.tables.position()
            return answer.status_code in {200, 409}  # or it was completed before

        until(acknowledged)

    def transfers_of(self, order: str) -> list[int]:
        """Their positions, in order of occurrence."""
        rows = self.tables.rows(
            "SELECT t.position FROM standing_order_runs r JOIN transactions t ON t.id = r.transaction_id"
            " WHERE r.order_id = $1 AND r.status = 'EXECUTED' ORDER BY r.occurrence",
            bytes.fromhex(order),
        )
        return [row["position"] for row in rows]


@contextmanager
def a_scene(launch: Callable[..., Service], database_url: str, services: int, seed: int) -> Iterator[Scene]:
    running = [with_a_system_user(launch()), *(launch() for _ in range(services - 1))]
    client, tables = Client(running[0].url), Tables(database_url)
    yield Scene(launch, tables, client.register("Ann"), running, random.Random(seed))
    client.close()
    tables.close()


def carry_on_while_services_are_killed(scene: Scene, kills: int, orders: int, missed: int) -> None:
    made = scene.make_orders(orders, missed)
    for order in scene.chance.sample(made, kills):
        scene.kill_and_start_again()
        scene.cancel(order)
    until(
        lambda: not scene.tables.value("SELECT count(*) FROM standing_orders WHERE status = 'ACTIVE'"),
        seconds=120,
    )
    for order in made:
        positions = scene.transfers_of(order)
        assert positions == sorted(positions), "one occurrence after the other"
        if order in scene.cancelled:
            assert all(position <= scene.cancelled[order] for position in positions)
        else:
            assert len(positions) == missed
    taken_over = scene.tables.value("SELECT count(*) FROM revoked_tokens WHERE expires_at = 'infinity'")
    print(f"{len(scene.cancelled)} cancelled, {taken_over} taken over")  # noqa: T201 - shown when the test fails
    moved = scene.tables.value("SELECT count(*) FROM transactions WHERE kind = 'TRANSFER'")
    assert moved == sum(len(scene.transfers_of(order)) for order in made)
    verified = scene.services[0].command("verify")
    assert verified.returncode == 0, verified.stdout


@pytest.mark.slow
@pytest.mark.parametrize("services", [1, 2])
def test_no_occurrence_is_lost_or_repeated_when_services_are_killed(
    start_service: Callable[..., Service], database_url: str, services: int
) -> None:
    with a_scene(start_service, database_url, services, seed=services) as scene:
        carry_on_while_services_are_killed(scene, kills=3, orders=20, missed=20)


@pytest.mark.full
def test_no_occurrence_is_lost_or_repeated_however_often_services_are_killed(
    start_service: Callable[..., Service], database_url: str
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    with a_scene(start_service, database_url, 2, seed) as scene:
        carry_on_while_services_are_killed(scene, kills=30, orders=60, missed=100)
