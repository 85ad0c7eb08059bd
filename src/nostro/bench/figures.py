"""What a run found, as data: microseconds, milliseconds and rates as they were measured, nothing rounded."""

import statistics
from collections.abc import Sequence
from typing import Any

import msgspec

from nostro.bench.yardstick import Pace


class Spread(msgspec.Struct, frozen=True):
    """The middle of the rounds, and how far they lie apart."""

    median: float
    low: float
    high: float


class LatencyFigures(msgspec.Struct, frozen=True):
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


class CpuFigures(msgspec.Struct, frozen=True):
    """Microseconds of processor time per operation (transfer or read). None: not known.

    `elsewhere` is what the rest of the machine used meanwhile: a high figure means the run was disturbed.
    """

    generator_us: float
    api_us: float | None
    postgres_us: float | None
    elsewhere_us: float | None


class BatchFigures(msgspec.Struct, frozen=True):
    """What one commit served: how many batches, how many requests in them, and by upper bound of their size,
    how many batches were that large or smaller.
    """

    batches: int
    requests: int
    up_to: dict[str, int]


class RoundFigures(msgspec.Struct, frozen=True):
    per_second: float
    by_kind: dict[str, float]
    latency: dict[str, LatencyFigures]
    cpu: CpuFigures
    operations: int
    """Answered as expected, warm-up included: what the WAL figures are divided by."""
    wal_bytes: int | None
    full_page_images: int | None
    yardstick: list[Pace]
    ratio: float | None
    unexpected: dict[str, int]
    sample: str
    late_p99_ms: float | None
    """Open loop: 99 of 100 requests left at most this much after they were due."""
    batches: BatchFigures | None


class OpenLoopFigures(msgspec.Struct, frozen=True):
    """Latency when requests fall due at a fixed rate, over all rounds together, by kind of request."""

    rate: float
    latency: dict[str, LatencyFigures]
    late_p99_ms: float
    rounds: list[RoundFigures]


class WorkloadFigures(msgspec.Struct, frozen=True):
    name: str
    sentence: str
    entries: int | None
    """How many entries its ledger was seeded to; None: it was not."""
    accounts: int
    connections: int
    per_second: Spread
    by_kind: dict[str, Spread]
    latency: dict[str, LatencyFigures]
    """Over all rounds together, by kind of request."""
    cpu: CpuFigures
    """The median of the rounds."""
    wal_bytes_per_operation: float | None
    full_page_images_per_operation: float | None
    yardstick_per_second: Spread | None
    ratio: Spread | None
    api_resident_kib: int | None
    api_peak_kib: int | None
    rounds: list[RoundFigures]
    at_half: OpenLoopFigures | None
    """At half the median rate of the rounds, if that was asked for."""
    batches: BatchFigures | None

    @property
    def label(self) -> str:
        return labelled(self.name, self.entries)


def labelled(workload: str, entries: int | None) -> str:
    """A workload's name, with the size of the ledger it ran on where that matters."""
    return workload if entries is None else f"{workload}, {entries:,} entries"


class Comparison(msgspec.Struct, frozen=True):
    """What a workload comes to, divided by what another (or the same on a smaller ledger) does: each round by
    its neighbour, the median and the range of the rounds. Cost is processor time of API and PostgreSQL per
    operation; p50 and p99 are of the first kind of request.
    """

    workload: str
    against: str
    per_second: Spread
    cost: Spread | None
    p50: Spread
    p99: Spread


class Verification(msgspec.Struct, frozen=True):
    ledger: str
    passed: bool
    seconds: float
    answer: Any


class Kept(msgspec.Struct, frozen=True):
    """Transactions the clients were told of, those the table holds more than before the run, and how large one
    is on disk with its entries and all indexes, on average over the whole ledger.
    """

    ledger: str
    acknowledged: int
    stored: int
    bytes_per_transaction: float


class BenchReport(msgspec.Struct, frozen=True):
    date: str
    options: dict[str, Any]
    machine: dict[str, str]
    postgres: dict[str, str] | None
    workloads: list[WorkloadFigures]
    comparisons: list[Comparison]
    verifications: list[Verification]
    kept: list[Kept]
    failures: list[str]
    notes: list[str]

    @property
    def passed(self) -> bool:
        return not self.failures

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def pairwise_ratio(ledger: Sequence[float], yardstick: Sequence[float]) -> Spread:
    """The median of each round over its own yardstick, not the quotient of the medians: the machine
    drifts.
    """
    return spread([ours / theirs for ours, theirs in zip(ledger, yardstick, strict=True)])
