"""GET /metrics: what the service counts (ledger/counts.py), as Prometheus reads it.

Counts only: no user, account, amount or key is in it. How much is going on is still nobody else's business, so
by default only programs on this machine are told.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv6Address, ip_address

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from nostro import __version__
from nostro.api.desk import Desk
from nostro.domain.errors import NotFound, Unavailable
from nostro.ledger import counts
from nostro.ledger.counts import Counts
from nostro.settings import MetricsReaders
from nostro.store.followers import FollowerState

_WAYS = {"lean": counts.LEAN, "ordinary": counts.ORDINARY}


async def metrics(request: Request, desk: Desk) -> Response:
    """For whom the setting NOSTRO_METRICS names; everybody else finds nothing here (`NotFound`)."""
    if not may_read(desk.metrics_for, request.client.host if request.client else ""):
        raise NotFound
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector(desk.ledger.counts))
    registry.register(FollowersCollector(await _followers(desk)))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


async def _followers(desk: Desk) -> list[FollowerState]:
    """None are told of while the database is away: what the service counts is told all the same."""
    try:
        return await desk.ledger.following.states()
    except Unavailable:
        return []


def may_read(readers: MetricsReaders, host: str) -> bool:
    """`host` is the caller's address, or what a proxy on this machine says it is."""
    if readers is MetricsReaders.LOOPBACK:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return (mapped or address).is_loopback
    return readers is MetricsReaders.EVERYBODY


class LedgerCollector(Collector):
    """The cells by name, added up over all processes."""

    def __init__(self, counted: Counts) -> None:
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        total = self._counted.total
        yield InfoMetricFamily("nostro", "The release that runs.", {"version": __version__})
        yield GaugeMetricFamily("nostro_workers", "API processes.", self._counted.processes)
        yield HistogramMetricFamily(
            "nostro_batch_requests",
            "Requests that one commit served.",
            self._buckets(counts.SIZES, counts.BATCH_SIZES),
            total(counts.SIZE_SUM),
        )
        yield HistogramMetricFamily(
            "nostro_batch_seconds",
            "From taking a batch to answering it.",
            self._buckets(counts.DURATIONS, [bound / 1e6 for bound in counts.BATCH_US]),
            total(counts.DURATION_SUM_US) / 1e6,
        )
        waiting = GaugeMetricFamily(
            "nostro_waiting_requests", "Requests that wait for a batch, after the last one.", labels=["kind"]
        )
        waiting.add_metric(["single"], total(counts.SINGLES_WAITING))
        waiting.add_metric(["bulk"], total(counts.BULK_WAITING))
        yield waiting
        yield GaugeMetricFamily("nostro_streams", "Live streams that are open.", total(counts.STREAMS_OPEN))
        yield CounterMetricFamily(
            "nostro_streams_cut_off",
            "Live streams ended because their client did not read.",
            total(counts.STREAMS_CUT_OFF),
        )
        yield self._answers()
        refusals = CounterMetricFamily("nostro_refusals", "Refusals, by their code.", labels=["code"])
        for number, code in enumerate(counts.CODES):
            refusals.add_metric([code], total(counts.REFUSALS + number))
        yield refusals

    def _answers(self) -> Metric:
        answers = CounterMetricFamily(
            "nostro_answers",
            "Answers, by their way through the service and the class of their status.",
            labels=["way", "status"],
        )
        for way, first in _WAYS.items():
            for hundreds in range(1, 6):
                answers.add_metric([way, f"{hundreds}xx"], self._counted.total(first + hundreds))
        return answers

    def _buckets(self, first: int, bounds: Sequence[float]) -> list[tuple[str, float]]:
        """Cumulative, as Prometheus wants them."""
        seen = 0
        buckets: list[tuple[str, float]] = []
        for cell, bound in enumerate([*bounds, float("inf")], start=first):
            seen += self._counted.total(cell)
            buckets.append(("+Inf" if bound == float("inf") else f"{bound:g}", seen))
        return buckets


class FollowersCollector(Collector):
    """How far everything that happens after a commit has come."""

    def __init__(self, states: Sequence[FollowerState]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        behind = GaugeMetricFamily(
            "nostro_follower_behind_positions", "Positions not taken in yet.", labels=["follower"]
        )
        age = GaugeMetricFamily(
            "nostro_follower_behind_seconds", "Age of the next position to take in.", labels=["follower"]
        )
        deliveries = GaugeMetricFamily(
            "nostro_deliveries", "Deliveries to be made, or given up.", labels=["follower", "status"]
        )
        for state in self._states:
            behind.add_metric([state.name], state.behind)
            age.add_metric([state.name], state.behind_s or 0.0)
            deliveries.add_metric([state.name, "pending"], state.pending)
            deliveries.add_metric([state.name, "set_aside"], state.set_aside)
        yield from (behind, age, deliveries)
