"""A run's figures as tables. Rates and ratios of rates are cut off, latencies and costs are raised: never
better than measured.
"""

import math
from collections.abc import Callable
from itertools import pairwise

from nostro.bench.figures import BatchFigures, BenchReport, LatencyFigures, Spread

_SHOWN_SETTINGS = ("fsync", "full_page_writes", "data_checksums", "synchronous_commit", "shared_buffers")


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
    if any(each.batches for each in report.workloads):
        parts.append(_table("Batches: how many requests one commit served", _batch_rows(report)))
    if report.comparisons:
        parts.append(_table("Compared, round by round", _comparison_rows(report)))
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
            each.label,
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
    rows = [["workload", "kind", "loop", "p50", "p90", "p99", "max", "left late by"]]
    for each in report.workloads:
        fixed = report.options["rate"]
        rows += [
            [each.label, kind, f"{down(fixed)}/s" if fixed else "closed", *_latencies(at), ""]
            for kind, at in each.latency.items()
        ]
        if each.at_half is not None:
            rate, late = f"{down(each.at_half.rate)}/s", up(each.at_half.late_p99_ms, 2)
            rows += [
                [each.label, kind, rate, *_latencies(at), late] for kind, at in each.at_half.latency.items()
            ]
    return rows


def _latencies(at: LatencyFigures) -> list[str]:
    return [up(value, 2) for value in (at.p50_ms, at.p90_ms, at.p99_ms, at.max_ms)]


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
            each.label,
            up(cpu.generator_us, 1),
            up(cpu.api_us, 1),
            up(cpu.postgres_us, 1),
            up(cpu.elsewhere_us, 1),
        ]
        row += [up(each.wal_bytes_per_operation), up(each.full_page_images_per_operation, 4)]
        row += [up(_mib(each.api_resident_kib), 1), up(_mib(each.api_peak_kib), 1)]
        rows.append(row)
    return rows


def _batch_rows(report: BenchReport) -> list[list[str]]:
    """Shares of the batches by size, in percent: each column what is above the one before it."""
    bounds = [*next(each.batches.up_to for each in report.workloads if each.batches)]
    rows = [["workload", "batches", "mean", *(f"≤ {bound}" for bound in bounds[:-1]), "more"]]
    for each in report.workloads:
        if each.batches is not None and each.batches.batches:
            rows.append([each.label, *_batches(each.batches)])
    return rows


def _batches(found: BatchFigures) -> list[str]:
    counts = [0, *found.up_to.values()]
    shares = [100 * (upper - lower) / found.batches for lower, upper in pairwise(counts)]
    return [
        f"{found.batches:,}",
        down(found.requests / found.batches, 1),
        *(down(share, 1) if share else "" for share in shares),
    ]


def _comparison_rows(report: BenchReport) -> list[list[str]]:
    rows = [["workload", "against", "× per second", "× cost", "× p50", "× p99"]]
    for each in report.comparisons:
        costs = [_raised(spread) if spread else "-" for spread in (each.cost, each.p50, each.p99)]
        low, high = down(each.per_second.low, 2), down(each.per_second.high, 2)
        rows.append([each.workload, each.against, f"{down(each.per_second.median, 2)} ({low}–{high})", *costs])
    return rows


def _raised(spread: Spread) -> str:
    return f"{up(spread.median, 2)} ({up(spread.low, 2)}–{up(spread.high, 2)})"


def _verdict(report: BenchReport) -> str:
    lines = [
        f"{each.ledger.capitalize()} {'verified' if each.passed else 'DID NOT VERIFY'} after the run,"
        f" in {each.seconds:.1f} s."
        for each in report.verifications
    ] or ["The ledger was NOT verified after the run."]
    lines += [
        f"{each.ledger.capitalize()}: {each.acknowledged:,} transactions were acknowledged, {each.stored:,} are"
        f" stored; {up(each.bytes_per_transaction)} bytes on disk for each."
        for each in report.kept
    ]
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
