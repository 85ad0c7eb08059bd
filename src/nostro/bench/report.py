"""What a run found, as data and as a table. Rates and ratios are cut off, latencies and costs are raised:
never better than measured.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from nostro.bench.yardstick import Pace

_SHOWN_SETTINGS = ("fsync", "full_page_writes", "data_checksums", "synchronous_commit", "shared_buffers")


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


class WorkloadFigures(msgspec.Struct, frozen=True):
    name: str
    sentence: str
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


class Verification(msgspec.Struct, frozen=True):
    passed: bool
    seconds: float
    answer: Any


class Kept(msgspec.Struct, frozen=True):
    """Transfers the clients were told of, and transfers the table holds more than before the run."""

    acknowledged: int
    stored: int


class BenchReport(msgspec.Struct, frozen=True):
    date: str
    options: dict[str, Any]
    machine: dict[str, str]
    postgres: dict[str, str] | None
    workloads: list[WorkloadFigures]
    verification: Verification | None
    kept: Kept | None
    metrics: dict[str, float]
    """What the server says about its batches, if it does."""
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


def down(value: float, digits: int = 0) -> str:
    """Cut off, never rounded up."""
    return _cut(value, digits, math.floor)


def up(value: float | None, digits: int = 0) -> str:
    """Raised to the next digit; a dash for what is not known."""
    return "-" if value is None else _cut(value, digits, math.ceil)


def _cut(value: float, digits: int, towards: Callable[[float], int]) -> str:
    # Through the shortest decimal text first, or 0.29 * 100 would be cut to 28.
    scaled = float(f"{value * 10**digits:.9g}")
    return f"{towards(scaled) / 10**digits:,.{digits}f}"


def render(report: BenchReport) -> str:
    """The report as text for a terminal."""
    parts = [_facts(report), _table("Speed", _speed_rows(report))]
    parts.append(_table("Latency, ms", _latency_rows(report)))
    parts.append(_table("Cost per operation", _cost_rows(report)))
    if report.metrics:
        parts.append("\n".join(["Batches", *(f"  {name} {value:g}" for name, value in report.metrics.items())]))
    parts.append(_verdict(report))
    return "\n\n".join(parts) + "\n"


def _facts(report: BenchReport) -> str:
    machine, options, settings = report.machine, report.options, report.postgres
    software = f"Linux {machine['kernel']}, Python {machine['python']}"
    hardware = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory']}, {machine['filesystem']}"
    lines = [
        f"{report.date}, load average before {machine['load_average_before']}",
        f"{hardware}, {software}",
        f"{options['rounds']} rounds of {options['seconds']:g} s, {options['warmup_seconds']:g} s of warm-up",
    ]
    if settings:
        shown = ", ".join(f"{name} {settings.get(name, '?')}" for name in _SHOWN_SETTINGS)
        lines.append(f"PostgreSQL {settings['version']}, {shown}")
    if any(each.yardstick_per_second for each in report.workloads):
        clients = "/".join(str(each) for each in options["pgbench_clients"])
        lines.append(
            f"pgbench TPC-B, prepared, scale {options['pgbench_scale']}, the best of {clients} clients"
        )
    if options["rate"]:
        lines.append(f"Open loop at {options['rate']:g} per second: latency counts from when a request was due")
    return "\n".join(lines)


def _speed_rows(report: BenchReport) -> list[list[str]]:
    rows = [["workload", "accounts", "conns", "per second", "low", "high", "TPC-B", "ratio", "low", "high"]]
    for each in report.workloads:
        rate = each.per_second
        row = [
            each.name,
            f"{each.accounts:,}",
            str(each.connections),
            down(rate.median),
            down(rate.low),
            down(rate.high),
        ]
        row += [down(each.yardstick_per_second.median)] if each.yardstick_per_second else ["-"]
        row += [down(value, 2) for value in _three(each.ratio)] if each.ratio else ["-"] * 3
        rows.append(row)
        if len(each.by_kind) > 1:
            rows += [
                [f"  {name}", "", "", down(kind.median), down(kind.low), down(kind.high), *[""] * 4]
                for name, kind in each.by_kind.items()
            ]
    return rows


def _latency_rows(report: BenchReport) -> list[list[str]]:
    rows = [["workload", "kind", "p50", "p90", "p99", "max"]]
    for each in report.workloads:
        for kind, at in each.latency.items():
            rows.append(
                [each.name, kind, *(up(value, 2) for value in (at.p50_ms, at.p90_ms, at.p99_ms, at.max_ms))]
            )
    return rows


def _cost_rows(report: BenchReport) -> list[list[str]]:
    titles = [
        "workload",
        "generator µs",
        "API µs",
        "PostgreSQL µs",
        "elsewhere µs",
        "WAL bytes",
        "page images",
    ]
    rows = [[*titles, "API RSS MiB", "peak MiB"]]
    for each in report.workloads:
        cpu = each.cpu
        row = [
            each.name,
            up(cpu.generator_us, 1),
            up(cpu.api_us, 1),
            up(cpu.postgres_us, 1),
            up(cpu.elsewhere_us, 1),
        ]
        row += [up(each.wal_bytes_per_operation), up(each.full_page_images_per_operation, 4)]
        row += [up(_mib(each.api_resident_kib), 1), up(_mib(each.api_peak_kib), 1)]
        rows.append(row)
    return rows


def _verdict(report: BenchReport) -> str:
    lines = []
    if report.verification is None:
        lines.append("The ledger was NOT verified after the run.")
    else:
        outcome = "verified" if report.verification.passed else "DID NOT VERIFY"
        lines.append(f"The ledger {outcome} after the run, in {report.verification.seconds:.1f} s.")
    if report.kept is not None:
        lines.append(
            f"{report.kept.acknowledged:,} transfers were acknowledged, {report.kept.stored:,} are stored."
        )
    lines += [f"Note: {note}" for note in report.notes]
    lines += [f"FAILED: {failure}" for failure in report.failures]
    return "\n".join(lines)


def _table(title: str, rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [title]
    for row in rows:
        first = row[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([first, *rest]).rstrip())
    return "\n".join(lines)


def _three(values: Spread) -> tuple[float, float, float]:
    return values.median, values.low, values.high


def _mib(kib: int | None) -> float | None:
    return None if kib is None else kib / 1024
