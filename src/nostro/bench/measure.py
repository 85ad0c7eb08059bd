"""All courses, round by round: the first round of each, then the second of each, so that what is compared ran
in the same minutes. Then, if asked for, the same again at half the rate that each was found to be capable of.
"""

import os
import statistics
from collections.abc import Sequence

from nostro.bench import metrics
from nostro.bench.figures import (
    Comparison,
    CpuFigures,
    OpenLoopFigures,
    RoundFigures,
    Spread,
    WorkloadFigures,
    pairwise_ratio,
    spread,
)
from nostro.bench.processes import read_memory
from nostro.bench.rounds import Course, Scene, latency_figures, run_round

_QUIET_SHARE = 0.03
"""Of the whole machine; below it a round counts as undisturbed."""


def measure(scene: Scene, courses: Sequence[Course]) -> list[WorkloadFigures]:
    """The figures of each course, in their order."""
    options = scene.options
    numbers = range(1, options.rounds + 1)
    rounds: list[list[RoundFigures]] = [[] for _ in courses]
    for number in numbers:
        for course, done in zip(courses, rounds, strict=True):
            done.append(run_round(scene, course, number, options.rate))
    at_half: list[list[RoundFigures]] = [[] for _ in courses]
    if options.latency and options.rate is None:
        for number in numbers:
            for course, closed, done in zip(courses, rounds, at_half, strict=True):
                if course.workload.at_half:
                    done.append(run_round(scene, course, number, _half(closed)))
    return [_figures(scene, *each) for each in zip(courses, rounds, at_half, strict=True)]


def _half(closed: Sequence[RoundFigures]) -> float:
    """Of the requests answered per second, which for these workloads carry one operation each."""
    return max(1.0, statistics.median(each.per_second for each in closed) / 2)


def _figures(
    scene: Scene, course: Course, rounds: list[RoundFigures], at_half: list[RoundFigures]
) -> WorkloadFigures:
    _note_disturbance(scene, course, [*rounds, *at_half])
    venue, options, workload = course.venue, scene.options, course.workload
    memory = None
    if venue.target.pid is not None:
        memory = read_memory(venue.target.pid, venue.postgres.postmaster_pid if venue.postgres else None)
    rates = [each.per_second for each in rounds]
    paces = [max(pace.per_second for pace in each.yardstick) for each in rounds if each.yardstick]
    operations = sum(each.operations for each in rounds)
    return WorkloadFigures(
        name=workload.name,
        sentence=workload.sentence,
        entries=venue.entries,
        accounts=course.accounts(options),
        connections=course.connections(options),
        per_second=spread(rates),
        by_kind={kind.name: spread([each.by_kind[kind.name] for each in rounds]) for kind in workload.kinds},
        latency={
            name: latency_figures(each)
            for name, each in (course.closed if options.rate is None else course.open).items()
        },
        cpu=_middle([each.cpu for each in rounds]),
        wal_bytes_per_operation=_share([each.wal_bytes for each in rounds], operations),
        full_page_images_per_operation=_share([each.full_page_images for each in rounds], operations),
        yardstick_per_second=spread(paces) if paces else None,
        ratio=pairwise_ratio(rates, paces) if paces else None,
        api_resident_kib=memory.resident_kib if memory else None,
        api_peak_kib=memory.peak_kib if memory else None,
        rounds=rounds,
        at_half=_open_loop(course, rounds, at_half) if at_half else None,
        batches=metrics.together([each.batches for each in rounds]),
    )


def _open_loop(course: Course, closed: list[RoundFigures], at_half: list[RoundFigures]) -> OpenLoopFigures:
    return OpenLoopFigures(
        rate=_half(closed),
        latency={name: latency_figures(each) for name, each in course.open.items()},
        late_p99_ms=max(each.late_p99_ms or 0.0 for each in at_half),
        rounds=at_half,
    )


def compare(courses: Sequence[Course], figures: Sequence[WorkloadFigures]) -> list[Comparison]:
    """Every course that has something to be compared with, and that is there."""
    found = []
    measured = list(zip(courses, figures, strict=True))
    for course, ours in measured:
        bases = [theirs for other, theirs in measured if _is_base(course, other)]
        if bases and all(each.operations for each in (*ours.rounds, *bases[0].rounds)):
            found.append(_comparison(course, ours, bases[0]))
    return found


def _is_base(course: Course, other: Course) -> bool:
    if course.workload.seeded:
        smaller = (other.venue.entries or 0) < (course.venue.entries or 0)
        return other.workload is course.workload and smaller
    return other.workload.name == course.workload.against


def _comparison(course: Course, ours: WorkloadFigures, theirs: WorkloadFigures) -> Comparison:
    kinds = [kind.name for kind in course.workload.kinds]
    base = next(iter(theirs.by_kind))
    pairs = list(zip(ours.rounds, theirs.rounds, strict=True))
    costs = [(cost_of_first(one, kinds, other, base), _cost(other)) for one, other in pairs]
    known = [one / other for one, other in costs if one is not None and other]

    def latencies(figure: str) -> Spread:
        return spread(
            [
                getattr(one.latency[kinds[0]], figure) / getattr(other.latency[base], figure)
                for one, other in pairs
            ]
        )

    return Comparison(
        workload=ours.label,
        against=theirs.label,
        per_second=pairwise_ratio(
            [one.by_kind[kinds[0]] for one, _ in pairs], [other.by_kind[base] for _, other in pairs]
        ),
        cost=spread(known) if known else None,
        p50=latencies("p50_ms"),
        p99=latencies("p99_ms"),
    )


def _cost(each: RoundFigures) -> float | None:
    """Processor time of API and PostgreSQL per operation, in µs."""
    if each.cpu.api_us is None or each.cpu.postgres_us is None:
        return None
    return each.cpu.api_us + each.cpu.postgres_us


def cost_of_first(ours: RoundFigures, kinds: Sequence[str], theirs: RoundFigures, base: str) -> float | None:
    """What an operation of the first kind costs. In a mix that is only known where the neighbour tells what the
    other kind costs.
    """
    mean, theirs_cost = _cost(ours), _cost(theirs)
    if mean is None or len(kinds) == 1:
        return mean
    if theirs_cost is None or kinds[1:] != [base]:
        return None
    first, other = ours.by_kind[kinds[0]], ours.by_kind[base]
    return (mean * (first + other) - theirs_cost * other) / first if first else None


def _note_disturbance(scene: Scene, course: Course, rounds: Sequence[RoundFigures]) -> None:
    """Say so when other programs took part of the machine: the figures are lower than they could be."""
    cores = len(os.sched_getaffinity(0))
    shares = [(each.cpu.elsewhere_us or 0.0) * each.per_second / 1e6 / cores for each in rounds]
    if max(shares) > _QUIET_SHARE:
        taken = f"{min(shares):.0%} to {max(shares):.0%}"
        scene.notes.append(f"{course.label} was disturbed: other programs used {taken} of the machine.")


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
