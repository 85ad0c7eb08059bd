"""The story of a run: start, populate, then for each workload ledger and yardstick turn by turn, verify,
report.
"""

import dataclasses
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from nostro.bench import machine, metrics, postgres, yardstick
from nostro.bench.measure import Scene, measure
from nostro.bench.options import BenchOptions, check, planned_seconds
from nostro.bench.population import populate
from nostro.bench.progress import Progress
from nostro.bench.report import BenchReport, Kept, Verification
from nostro.bench.server import Target, command, target
from nostro.bench.workload import WORKLOADS


def run(options: BenchOptions) -> BenchReport:
    """Run everything `options` asks for and write the JSON file if one is named.

    A report with `failures` is a failed run. Raises BenchError when there is nothing to report.
    """
    check(options, frozenset(WORKLOADS))
    progress = Progress()
    date = datetime.now(UTC).isoformat(timespec="seconds")
    load_before = machine.load_average()
    progress.say(
        f"Measuring takes up to {planned_seconds(options):.0f} s; start, accounts and verification add to it."
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
    population = populate(where, options, max(options.accounts or each.accounts for each in chosen), progress)
    scene = Scene(options, where, server, population, progress)
    settings = server.settings() if server else None
    if server is None:
        scene.notes.append("No data directory was named: no yardstick, no PostgreSQL figures, no verification.")
    elif options.beside_yardstick:
        yardstick.prepare(server, options, progress)
    if server:
        server.ask("CHECKPOINT")
    stored_before = server.transfers_stored() if server else None
    figures = [measure(scene, workload) for workload in chosen]
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
        ending = "did not end" if outcome.exit_status is None else f"ended with status {outcome.exit_status}"
        scene.failures.append(f"verify {ending}: {outcome.errors or outcome.answer}")
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
