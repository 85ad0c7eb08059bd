"""The story of a run: start, populate or seed, measure ledger and yardstick turn by turn, verify, report."""

import dataclasses
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from nostro.bench import machine, yardstick
from nostro.bench.figures import BenchReport, Kept, Verification
from nostro.bench.measure import compare, measure
from nostro.bench.options import BenchError, BenchOptions, check
from nostro.bench.progress import Progress
from nostro.bench.rounds import Course, Scene
from nostro.bench.server import command, target
from nostro.bench.venue import Venue, open_venue, seeded_venue
from nostro.bench.workload import WORKLOADS, Workload, asked_for


def run(options: BenchOptions) -> BenchReport:
    """Run everything `options` asks for and write the JSON file if one is named.

    A report with `failures` is a failed run. Raises BenchError when there is nothing to report.
    """
    check(options, frozenset(WORKLOADS))
    scene = Scene(options, Progress())
    date = datetime.now(UTC).isoformat(timespec="seconds")
    load_before = machine.load_average()
    with _ending_in_order(), ExitStack() as stack:
        courses = _courses(scene, asked_for(options.workloads), stack)
        planned = options.round_seconds * options.rounds * len(courses)
        scene.progress.say(f"Measuring takes up to {planned:.0f} s; verification adds to it.")
        facts = machine.facts(courses[0].venue.target.data_dir) | {"load_average_before": load_before}
        report = _perform(scene, courses, date, facts)
    if options.json_path is not None:
        options.json_path.write_bytes(report.to_json() + b"\n")
    return report


def _courses(scene: Scene, workloads: Sequence[Workload], stack: ExitStack) -> list[Course]:
    """Each workload at each of its venues: the one that everybody shares, or all that were seeded."""
    options, progress = scene.options, scene.progress
    courses: list[Course] = []
    shared = [each for each in workloads if not each.seeded]
    if shared:
        accounts = max(options.accounts or each.accounts for each in shared)
        venue = open_venue(stack.enter_context(target(options, progress)), options, accounts, progress)
        if venue.postgres is None:
            scene.notes.append(
                "No data directory was named: no yardstick, no PostgreSQL figures, no verification."
            )
        elif options.beside_yardstick and any(each.beside_yardstick for each in shared):
            yardstick.prepare(venue.postgres, options, progress)
        courses += [Course(each, venue) for each in shared]
    if len(shared) < len(workloads):
        if options.url is not None:
            raise BenchError(
                "A ledger that is in use is not seeded: leave out the url, or the grown workloads."
            )
        venues = [
            seeded_venue(
                stack.enter_context(target(options, progress)),
                options,
                entries,
                options.accounts or 10_000,
                progress,
            )
            for entries in sorted(set(options.entries))
        ]
        courses += [Course(each, venue) for each in workloads if each.seeded for venue in venues]
    return courses


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


def _perform(scene: Scene, courses: Sequence[Course], date: str, facts: dict[str, str]) -> BenchReport:
    venues = list({id(course.venue): course.venue for course in courses}.values())
    postgres = venues[0].postgres
    settings = postgres.settings() if postgres else None
    figures = measure(scene, courses)
    return BenchReport(
        date=date,
        options=_plain(scene.options),
        machine=facts,
        postgres=settings,
        workloads=figures,
        comparisons=compare(courses, figures),
        verifications=[each for each in (_verify(scene, venue) for venue in venues) if each],
        kept=[each for each in (_kept(scene, venue) for venue in venues) if each],
        failures=scene.failures,
        notes=scene.notes,
    )


def _verify(scene: Scene, venue: Venue) -> Verification | None:
    data_dir = venue.target.data_dir
    if data_dir is None or not scene.options.verify:
        return None
    scene.progress.begin(f"verification of {venue.label}", 1)
    began = time.monotonic()
    outcome = command(scene.options, data_dir, "verify")
    passed = outcome.exit_status == 0
    scene.progress.end("it verifies" if passed else "IT DOES NOT VERIFY")
    if not passed:
        ending = "did not end" if outcome.exit_status is None else f"ended with status {outcome.exit_status}"
        scene.failures.append(f"verify of {venue.label} {ending}: {outcome.errors or outcome.answer}")
    return Verification(venue.label, passed, time.monotonic() - began, outcome.answer)


def _kept(scene: Scene, venue: Venue) -> Kept | None:
    """Whether everything a client was told of is in the table; more may be: others' work."""
    after = venue.postgres.transactions_stored() if venue.postgres else None
    if venue.postgres is None or venue.stored_before is None or after is None:
        return None
    kept = Kept(
        venue.label, venue.acknowledged, after - venue.stored_before, venue.postgres.bytes_per_transaction()
    )
    if kept.stored < kept.acknowledged:
        scene.failures.append(f"{kept.acknowledged - kept.stored} acknowledged transactions are not stored.")
    return kept


def _plain(options: BenchOptions) -> dict[str, Any]:
    """The options as JSON can hold them, without secrets and without paths of this machine."""
    plain = dataclasses.asdict(options)
    for name in ("system_email", "system_password", "server_command", "data_dir", "scratch_dir", "json_path"):
        del plain[name]
    return plain
