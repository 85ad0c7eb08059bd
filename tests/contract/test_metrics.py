"""What the service counts is what happened, told to whom it may be told, in all its processes together."""

import re
from collections.abc import Callable

import httpx2
import pytest

from nostro.api.metrics import may_read
from nostro.settings import MetricsReaders
from tests.contract.conftest import House

Figures = dict[str, float]


def read(house: House) -> Figures:
    """On a connection of its own, which may lead to any of the processes."""
    answer = httpx2.get(f"{house.service.url}/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = re.findall(r"^([a-z_]+(?:\{[^}]*\})?) ([0-9.e+-]+)$", answer.text, re.MULTILINE)
    return {name: float(value) for name, value in lines}


def since(before: Figures, now: Figures) -> Figures:
    return {name: value - before.get(name, 0.0) for name, value in now.items() if value != before.get(name)}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_batches_answers_and_refusals_are_counted(open_house: Callable[..., House], workers: int) -> None:
    house = open_house(NOSTRO_WORKERS=str(workers))
    ann, account = house.funded(10)
    other = ann.open_account()
    before = read(house)
    assert before["nostro_workers"] == workers
    for _ in range(3):
        assert ann.send(account, other, 1).status_code == 201
    assert ann.send(account, other, 100).status_code == 400
    assert ann.balance(other) == 3
    assert ann.get("/nothing").status_code == 404
    counted = since(before, read(house))
    assert counted["nostro_batch_requests_count"] == 4
    assert counted["nostro_batch_requests_sum"] == 4
    assert counted["nostro_batch_seconds_count"] == 4
    for bound in ("1", "512", "+Inf"):
        assert counted[f'nostro_batch_requests_bucket{{le="{bound}"}}'] == 4
    assert counted['nostro_answers_total{status="2xx",way="lean"}'] >= 3
    assert counted['nostro_refusals_total{code="insufficient_funds"}'] == 1
    assert counted['nostro_refusals_total{code="not_found"}'] == 1


def test_followers_tell_how_far_they_are(house: House) -> None:
    house.funded(1)
    house.tables.script("INSERT INTO followers (name, position) SELECT 'late', position - 3 FROM journal_head")
    try:
        told = read(house)
    finally:
        house.tables.script("DELETE FROM followers WHERE name = 'late'")
    assert told['nostro_follower_behind_positions{follower="late"}'] == 3
    assert told['nostro_follower_behind_seconds{follower="late"}'] >= 0
    assert told['nostro_deliveries{follower="late",status="set_aside"}'] == 0


def test_nothing_in_it_names_anybody(house: House) -> None:
    ann, account = house.funded(4711)
    ann.send(account, ann.open_account(), 42)
    told = house.client.request("GET", "/metrics").text
    for secret in (ann.id, ann.email, account, "4711", "471100"):
        assert secret not in told


def test_who_comes_from_elsewhere_through_a_proxy_finds_nothing(house: House) -> None:
    answer = house.client.request("GET", "/metrics", headers={"X-Forwarded-For": "203.0.113.9"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("readers", "host", "may"),
    [
        (MetricsReaders.LOOPBACK, "127.0.0.1", True),
        (MetricsReaders.LOOPBACK, "::1", True),
        (MetricsReaders.LOOPBACK, "::ffff:127.0.0.1", True),
        (MetricsReaders.LOOPBACK, "::ffff:192.0.2.1", False),
        (MetricsReaders.LOOPBACK, "192.0.2.1", False),
        (MetricsReaders.LOOPBACK, "", False),
        (MetricsReaders.EVERYBODY, "192.0.2.1", True),
        (MetricsReaders.NOBODY, "127.0.0.1", False),
    ],
)
def test_who_may_read(readers: MetricsReaders, host: str, may: bool) -> None:
    assert may_read(readers, host) == may
