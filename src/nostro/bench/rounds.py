"""One round: a plan for the load generator, readings at the edges of its window, and what they come to."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from nostro.bench import metrics, yardstick
from nostro.bench.figures import CpuFigures, LatencyFigures, RoundFigures, labelled
from nostro.bench.latency import Histogram
from nostro.bench.load import LoadPlan, LoadResult, generate
from nostro.bench.options import BenchOptions
from nostro.bench.processes import CpuReading, read_cpu
from nostro.bench.progress import Progress
from nostro.bench.venue import Venue
from nostro.bench.workload import Workload


@dataclass(slots=True)
class Scene:
    """What stays the same for the whole run, and what is noted on the way."""

    options: BenchOptions
    progress: Progress
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Course:
    """A workload at a venue, and the latencies of all its rounds by kind of request."""

    workload: Workload
    venue: Venue
    closed: dict[str, Histogram] = field(default_factory=dict)
    open: dict[str, Histogram] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return labelled(self.workload.name, self.venue.entries)

    def connections(self, options: BenchOptions) -> int:
        return self.workload.connections or options.connections

    def accounts(self, options: BenchOptions) -> int:
        return min(options.accounts or self.workload.accounts, len(self.venue.population.accounts))


def run_round(scene: Scene, course: Course, number: int, rate: float | None) -> RoundFigures:
    """Round `number`, in a closed loop, or with `rate` requests falling due every second."""
    venue, progress = course.venue, scene.progress
    title = f"{course.label}, round {number} of {scene.options.rounds}" + (f" at {rate:,.0f}/s" if rate else "")
    wal_before = venue.postgres.wal() if venue.postgres else None
    batches_before = metrics.read_batches(venue.target)
    readings: list[CpuReading] = []
    postmaster = venue.postgres.postmaster_pid if venue.postgres else None
    with progress.timed(title, scene.options.warmup_seconds + scene.options.seconds):
        result = generate(
            _plan(scene.options, course, number, rate),
            lambda: readings.append(read_cpu(venue.target.pid, postmaster)),
        )
    wal_after = venue.postgres.wal() if venue.postgres else None
    batches = metrics.between(batches_before, metrics.read_batches(venue.target))
    _note_unexpected(scene, title, result)
    _note_answers(course, result, course.closed if rate is None else course.open)
    by_kind = {
        kind.name: kind.done_in_window * kind.operations / result.window_seconds for kind in result.kinds
    }
    per_second = sum(by_kind.values())
    progress.end(f"{int(per_second):,} per second")
    paces = _yardstick(scene, course, number) if rate is None else []
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
        late_p99_ms=result.late_us / 1000 if rate is not None else None,
        batches=batches,
    )


def _plan(options: BenchOptions, course: Course, number: int, rate: float | None) -> LoadPlan:
    venue = course.venue
    return LoadPlan(
        workload=course.workload.name,
        host=venue.target.address,
        port=venue.target.port,
        connections=course.connections(options),
        warmup_seconds=options.warmup_seconds,
        seconds=options.seconds,
        rate=rate,
        tokens=venue.population.tokens,
        accounts=venue.population.accounts[: course.accounts(options)],
        deep_cursor=venue.deep_cursor,
        round_key=secrets.token_hex(4),
        seed=options.seed * 1000 + number,
    )


def _yardstick(scene: Scene, course: Course, number: int) -> list[yardstick.Pace]:
    options, postgres = scene.options, course.venue.postgres
    if postgres is None or not options.beside_yardstick or not course.workload.beside_yardstick:
        return []
    lasting = options.yardstick_seconds * len(options.pgbench_clients)
    with scene.progress.timed(f"pgbench, round {number} of {options.rounds}", lasting):
        best, paces = yardstick.best(postgres, options)
    scene.progress.end(f"{int(best.per_second):,} per second with {best.clients} clients")
    return paces


def _note_unexpected(scene: Scene, title: str, result: LoadResult) -> None:
    if result.unexpected:
        counted = ", ".join(f"{times} times {what}" for what, times in result.unexpected.items())
        scene.failures.append(f"{title}: {counted}; the first: {result.sample}")


def _note_answers(course: Course, result: LoadResult, latencies: dict[str, Histogram]) -> None:
    recorded = {kind.name for kind in course.workload.kinds if kind.records}
    for kind in result.kinds:
        if kind.name in recorded:
            course.venue.acknowledged += kind.done_in_all * kind.operations
        latencies.setdefault(kind.name, Histogram()).merge(kind.latency_buckets, kind.latency_max_us)


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


def _latency_of(buckets: Sequence[tuple[int, int]], max_us: int) -> LatencyFigures:
    histogram = Histogram()
    histogram.merge(buckets, max_us)
    return latency_figures(histogram)


def latency_figures(histogram: Histogram) -> LatencyFigures:
    return LatencyFigures(
        p50_ms=histogram.percentile(50) / 1000,
        p90_ms=histogram.percentile(90) / 1000,
        p99_ms=histogram.percentile(99) / 1000,
        max_ms=histogram.max_us / 1000,
    )
