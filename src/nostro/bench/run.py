"""The story of a run: start, populate, then for each workload ledger and yardstick turn by turn, verify,
report.
"""

import dataclasses
import secrets
import signal
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from nostro.bench import machine, metrics, postgres, yardstick
from nostro.bench.latency import Histogram
from nostro.bench.load import LoadPlan, LoadResult, generate
from nostro.bench.options import BenchOptions, check, planned_seconds
from nostro.bench.population import Population, populate
from nostro.bench.postgres import Postgres
from nostro.bench.processes import CpuReading, read_cpu, read_memory
from nostro.bench.progress import Progress
from nostro.bench.report import (
    BenchReport,
    CpuFigures,
    Kept,
    LatencyFigures,
    RoundFigures,
    Verification,
    WorkloadFigures,
    pairwise_ratio,
    spread,
)
from nostro.bench.server import Target, command, target
from nostro.bench.workload import TRANSFER, WORKLOADS, Workload


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


def run(options: BenchOptions) -> BenchReport:
    """Run everything `options` asks for and write the JSON file if one is named.

    A report with `failures` is a failed run. Raises BenchError when there is nothing to report.
    """
    check(options, frozenset(WORKLOADS))
    progress = Progress()
    date = datetime.now(UTC).isoformat(timespec="seconds")
    load_before = machine.load_average()
    progress.say(
        f"Measuring will take {planned_seconds(options):.0f} s, with start, accounts and verification on top."
    )
    with _ending_in_order(), target(options, progress) as where:
        facts = machine.facts(where.data_dir) | {"load_average_before": load_before}
        report = _perform(options, where, progress, date, facts)
    if options.json_path is not None:
        options.json_path.write_bytes(report.to_json() + b"\n")
    return report


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that the scratch server is stopped and its directory removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _perform(
    options: BenchOptions, where: Target, progress: Progress, date: str, facts: dict[str, str]
) -> BenchReport:
    server = postgres.find(where.data_dir) if where.data_dir is not None else None
    chosen = [WORKLOADS[name] for name in options.workloads]
    population = populate(where, options, max(_accounts(options, each) for each in chosen), progress)
    scene = Scene(options, where, server, population, progress)
    settings = server.settings() if server else None
    if server is None:
        scene.notes.append("No data directory was named: no yardstick, no PostgreSQL figures, no verification.")
    elif options.pgbench:
        yardstick.prepare(server, options, progress)
    if server:
        server.ask("CHECKPOINT")
    stored_before = server.transfers_stored() if server else None
    figures = [_measure(scene, workload) for workload in chosen]
    return BenchReport(
        date=date,
        options=_plain(options),
        machine=facts,
        postgres=settings,
        workloads=figures,
        verification=_verify(scene),
        kept=_kept(scene, stored_before),
        metrics=metrics.batch_figures(where),
        failures=scene.failures,
        notes=scene.notes,
    )


def _accounts(options: BenchOptions, workload: Workload) -> int:
    return options.accounts or workload.accounts


def _measure(scene: Scene, workload: Workload) -> WorkloadFigures:
    options = scene.options
    latencies = {kind.name: Histogram() for kind in workload.kinds}
    rounds = [_round(scene, workload, number, latencies) for number in range(1, options.rounds + 1)]
    memory = None
    if scene.target.pid is not None:
        memory = read_memory(scene.target.pid, scene.postgres.postmaster_pid if scene.postgres else None)
    rates = [each.per_second for each in rounds]
    paces = [max(pace.per_second for pace in each.yardstick) for each in rounds if each.yardstick]
    operations = sum(each.operations for each in rounds)
    return WorkloadFigures(
        name=workload.name,
        sentence=workload.sentence,
        accounts=_accounts(options, workload),
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
    progress.begin(title, 1)
    wal_before = scene.postgres.wal() if scene.postgres else None
    readings: list[CpuReading] = []
    postmaster = scene.postgres.postmaster_pid if scene.postgres else None
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
        accounts=scene.population.accounts[: _accounts(options, workload)],
        round_key=secrets.token_hex(4),
        seed=options.seed * 1000 + number,
    )


def _yardstick(scene: Scene, workload: Workload, number: int) -> list[yardstick.Pace]:
    if scene.postgres is None or not scene.options.pgbench or not workload.beside_yardstick:
        return []
    scene.progress.begin(f"pgbench, round {number} of {scene.options.rounds}", 1)
    best, paces = yardstick.best(scene.postgres, scene.options)
    scene.progress.end(f"{int(best.per_second):,} per second with {best.clients} clients")
    return paces


def _note_unexpected(scene: Scene, title: str, result: LoadResult) -> None:
    if result.unexpected:
        counted = ", ".join(f"{times} times {what}" for what, times in result.unexpected.items())
        scene.failures.append(f"{title}: {counted}; the first: {result.sample}")


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


def _verify(scene: Scene) -> Verification | None:
    data_dir = scene.target.data_dir
    if data_dir is None or not scene.options.verify:
        return None
    scene.progress.begin("verification", 1)
    began = time.monotonic()
    outcome = command(scene.options, data_dir, "verify")
    passed = outcome.exit_status == 0
    scene.progress.end("the ledger verifies" if passed else "THE LEDGER DOES NOT VERIFY")
    if not passed:
        scene.failures.append(
            f"verify ended with status {outcome.exit_status}: {outcome.errors or outcome.answer}"
        )
    return Verification(passed, time.monotonic() - began, outcome.answer)


def _kept(scene: Scene, before: int | None) -> Kept | None:
    """Whether every transfer a client was told of is in the table; more may be: others' work."""
    after = scene.postgres.transfers_stored() if scene.postgres else None
    if before is None or after is None:
        return None
    kept = Kept(scene.acknowledged, after - before)
    if kept.stored < kept.acknowledged:
        scene.failures.append(f"{kept.acknowledged - kept.stored} acknowledged transfers are not stored.")
    return kept


def _plain(options: BenchOptions) -> dict[str, Any]:
    """The options as JSON can hold them, without secrets and without paths of this machine."""
    plain = dataclasses.asdict(options)
    for name in ("system_email", "system_password", "server_command", "data_dir", "scratch_dir", "json_path"):
        del plain[name]
    return plain
