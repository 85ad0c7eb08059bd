"""One workload: its rounds, each followed by its yardstick, and what they come to together."""

import os
import secrets
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from nostro.bench import yardstick
from nostro.bench.latency import Histogram
from nostro.bench.load import LoadPlan, LoadResult, generate
from nostro.bench.options import BenchOptions
from nostro.bench.population import Population
from nostro.bench.postgres import Postgres
from nostro.bench.processes import CpuReading, read_cpu, read_memory
from nostro.bench.progress import Progress
from nostro.bench.report import (
    CpuFigures,
    LatencyFigures,
    RoundFigures,
    WorkloadFigures,
    pairwise_ratio,
    spread,
)
from nostro.bench.server import Target
from nostro.bench.workload import TRANSFER, Workload

_QUIET_SHARE = 0.03
"""Of the whole machine; below it a round counts as undisturbed."""


@dataclass(slots=True)
class Scene:
    """What stays the same for the whole run, and what is noted on the way."""

    options: BenchOptions
    target: Target
    postgres: Postgres | None
    population: Population
    progress: Progress
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    acknowledged: int = 0
    """Transfers answered as done, warm-up included."""

    def accounts(self, workload: Workload) -> int:
        return self.options.accounts or workload.accounts


def measure(scene: Scene, workload: Workload) -> WorkloadFigures:
    options = scene.options
    latencies = {kind.name: Histogram() for kind in workload.kinds}
    rounds = [_round(scene, workload, number, latencies) for number in range(1, options.rounds + 1)]
    _note_disturbance(scene, workload, rounds)
    memory = None
    if scene.target.pid is not None:
        memory = read_memory(scene.target.pid, scene.postgres.postmaster_pid if scene.postgres else None)
    rates = [each.per_second for each in rounds]
    paces = [max(pace.per_second for pace in each.yardstick) for each in rounds if each.yardstick]
    operations = sum(each.operations for each in rounds)
    return WorkloadFigures(
        name=workload.name,
        sentence=workload.sentence,
        accounts=scene.accounts(workload),
        connections=workload.connections or options.connections,
        per_second=spread(rates),
        by_kind={kind.name: spread([each.by_kind[kind.name] for each in rounds]) for kind in workload.kinds},
        latency={name: _latency(histogram) for name, histogram in latencies.items()},
        cpu=_middle([each.cpu for each in rounds]),
        wal_bytes_per_operation=_share([each.wal_bytes for each in rounds], operations),
        full_page_images_per_operation=_share([each.full_page_images for each in rounds], operations),
        yardstick_per_second=spread(paces) if paces else None,
        ratio=pairwise_ratio(rates, paces) if paces else None,
        api_resident_kib=memory.resident_kib if memory else None,
        api_peak_kib=memory.peak_kib if memory else None,
        rounds=rounds,
    )


def _round(scene: Scene, workload: Workload, number: int, latencies: dict[str, Histogram]) -> RoundFigures:
    options, progress = scene.options, scene.progress
    title = f"{workload.name}, round {number} of {options.rounds}"
    wal_before = scene.postgres.wal() if scene.postgres else None
    readings: list[CpuReading] = []
    postmaster = scene.postgres.postmaster_pid if scene.postgres else None
    with progress.timed(title, options.warmup_seconds + options.seconds):
        result = generate(
            _plan(scene, workload, number), lambda: readings.append(read_cpu(scene.target.pid, postmaster))
        )
    wal_after = scene.postgres.wal() if scene.postgres else None
    _note_unexpected(scene, title, result)
    for kind in result.kinds:
        if kind.name == TRANSFER.name:
            scene.acknowledged += kind.done_in_all * kind.operations
        latencies[kind.name].merge(kind.latency_buckets, kind.latency_max_us)
    by_kind = {
        kind.name: kind.done_in_window * kind.operations / result.window_seconds for kind in result.kinds
    }
    per_second = sum(by_kind.values())
    progress.end(f"{int(per_second):,} per second")
    paces = _yardstick(scene, workload, number)
    return RoundFigures(
        per_second=per_second,
        by_kind=by_kind,
        latency={kind.name: _latency_of(kind.latency_buckets, kind.latency_max_us) for kind in result.kinds},
        cpu=_cpu(result, readings[1].since(readings[0])),
        operations=sum(kind.done_in_all * kind.operations for kind in result.kinds),
        wal_bytes=wal_after.bytes - wal_before.bytes if wal_after and wal_before else None,
        full_page_images=wal_after.full_page_images - wal_before.full_page_images
        if wal_after and wal_before
        else None,
        yardstick=paces,
        ratio=per_second / max(pace.per_second for pace in paces) if paces else None,
        unexpected=result.unexpected,
        sample=result.sample,
        late_p99_ms=result.late_us / 1000 if options.rate is not None else None,
    )


def _plan(scene: Scene, workload: Workload, number: int) -> LoadPlan:
    options = scene.options
    return LoadPlan(
        workload=workload.name,
        host=scene.target.address,
        port=scene.target.port,
        connections=workload.connections or options.connections,
        warmup_seconds=options.warmup_seconds,
        seconds=options.seconds,
        rate=options.rate,
        tokens=scene.population.tokens,
        accounts=scene.population.accounts[: scene.accounts(workload)],
        round_key=secrets.token_hex(4),
        seed=options.seed * 1000 + number,
    )


def _yardstick(scene: Scene, workload: Workload, number: int) -> list[yardstick.Pace]:
    if scene.postgres is None or not scene.options.beside_yardstick or not workload.beside_yardstick:
        return []
    options = scene.options
    lasting = options.yardstick_seconds * len(options.pgbench_clients)
    with scene.progress.timed(f"pgbench, round {number} of {options.rounds}", lasting):
        best, paces = yardstick.best(scene.postgres, options)
    scene.progress.end(f"{int(best.per_second):,} per second with {best.clients} clients")
    return paces


def _note_unexpected(scene: Scene, title: str, result: LoadResult) -> None:
    if result.unexpected:
        counted = ", ".join(f"{times} times {what}" for what, times in result.unexpected.items())
        scene.failures.append(f"{title}: {counted}; the first: {result.sample}")


def _note_disturbance(scene: Scene, workload: Workload, rounds: Sequence[RoundFigures]) -> None:
    """Say so when other programs took part of the machine: the figures are lower than they could be."""
    cores = len(os.sched_getaffinity(0))
    shares = [(each.cpu.elsewhere_us or 0.0) * each.per_second / 1e6 / cores for each in rounds]
    if max(shares) > _QUIET_SHARE:
        taken = f"{min(shares):.0%} to {max(shares):.0%}"
        scene.notes.append(f"{workload.name} was disturbed: other programs used {taken} of the machine.")


def _cpu(result: LoadResult, spent: CpuReading) -> CpuFigures:
    operations = sum(kind.done_in_window * kind.operations for kind in result.kinds)
    each_us = 1e6 / operations if operations else 0.0
    elsewhere = None
    if spent.api is not None and spent.postgres is not None:
        # Ticks of 10 ms on every side: the rest can come out a hair below nothing.
        elsewhere = max(0.0, spent.machine - spent.api - spent.postgres - result.cpu_seconds)
    return CpuFigures(
        generator_us=result.cpu_seconds * each_us,
        api_us=None if spent.api is None else spent.api * each_us,
        postgres_us=None if spent.postgres is None else spent.postgres * each_us,
        elsewhere_us=None if elsewhere is None else elsewhere * each_us,
    )


def _middle(rounds: Sequence[CpuFigures]) -> CpuFigures:
    return CpuFigures(
        generator_us=statistics.median(each.generator_us for each in rounds),
        api_us=_median([each.api_us for each in rounds]),
        postgres_us=_median([each.postgres_us for each in rounds]),
        elsewhere_us=_median([each.elsewhere_us for each in rounds]),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _share(counts: Sequence[int | None], operations: int) -> float | None:
    known = [count for count in counts if count is not None]
    return sum(known) / operations if known and operations else None


def _latency_of(buckets: list[tuple[int, int]], max_us: int) -> LatencyFigures:
    histogram = Histogram()
    histogram.merge(buckets, max_us)
    return _latency(histogram)


def _latency(histogram: Histogram) -> LatencyFigures:
    return LatencyFigures(
        p50_ms=histogram.percentile(50) / 1000,
        p90_ms=histogram.percentile(90) / 1000,
        p99_ms=histogram.percentile(99) / 1000,
        max_ms=histogram.max_us / 1000,
    )
