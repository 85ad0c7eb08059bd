"""Ratios are of neighbours, and no figure is ever better on paper than it was."""

import pytest

from nostro.bench.options import BenchError, BenchOptions, check, loopback_address
from nostro.bench.processes import CpuReading, family
from nostro.bench.report import BenchReport, down, pairwise_ratio, render, up
from nostro.bench.yardstick import reading

KNOWN = frozenset({"uniform"})


def test_the_ratio_is_the_median_of_pairs_and_not_the_quotient_of_medians() -> None:
    ratio = pairwise_ratio([10, 40, 60], [10, 20, 15])
    assert (ratio.median, ratio.low, ratio.high) == (2, 1, 4)


def test_a_round_without_its_yardstick_has_no_ratio() -> None:
    with pytest.raises(ValueError, match="zip"):
        pairwise_ratio([1, 2], [1])


@pytest.mark.parametrize(
    ("value", "digits", "cut", "raised"),
    [
        (1.999, 2, "1.99", "2.00"),
        (0.29, 2, "0.29", "0.29"),
        (12_345.6, 0, "12,345", "12,346"),
        (5.001, 2, "5.00", "5.01"),
        (0.0, 1, "0.0", "0.0"),
    ],
)
def test_rates_are_cut_and_costs_are_raised(value: float, digits: int, cut: str, raised: str) -> None:
    assert (down(value, digits), up(value, digits)) == (cut, raised)


PGBENCH_OUT = """\
transaction type: <builtin: TPC-B (sort of)>
number of transactions actually processed: 20000
number of failed transactions: 0 (0.000%)
latency average = 1.1 ms
tps = 7012.345678 (without initial connection time)
"""


def test_what_pgbench_prints_is_read() -> None:
    pace = reading(PGBENCH_OUT, 8, postgres_seconds=3.0, client_seconds=1.0)
    assert (pace.clients, pace.per_second, pace.postgres_us, pace.client_us) == (8, 7012.345678, 150.0, 50.0)


@pytest.mark.parametrize("out", ["", PGBENCH_OUT.replace("failed transactions: 0", "failed transactions: 3")])
def test_a_yardstick_that_failed_is_no_yardstick(out: str) -> None:
    with pytest.raises(BenchError):
        reading(out, 8, None, 1.0)


@pytest.mark.parametrize("url", ["http://127.0.0.1:3000", "http://[::1]:3000", "http://127.9.9.9:3000/"])
def test_this_machine_may_be_loaded(url: str) -> None:
    assert loopback_address(url)[1] == 3000


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:80", "http://0.0.0.0:1", "https://127.0.0.1", "127.0.0.1", ""]
)
def test_no_other_machine_may_be_loaded(url: str) -> None:
    with pytest.raises(BenchError):
        loopback_address(url)


@pytest.mark.parametrize(
    "options",
    [
        BenchOptions(workloads=()),
        BenchOptions(workloads=("unknown",)),
        BenchOptions(workloads=("uniform",), connections=0),
        BenchOptions(workloads=("uniform",), connections=100_000),
        BenchOptions(workloads=("uniform",), seconds=float("nan")),
        BenchOptions(workloads=("uniform",), seconds=600, rounds=100),
        BenchOptions(workloads=("uniform",), accounts=1),
        BenchOptions(workloads=("uniform",), pgbench_clients=()),
        BenchOptions(workloads=("uniform",), url="http://127.0.0.1:3000"),
    ],
)
def test_what_is_unbounded_or_incomplete_is_refused(options: BenchOptions) -> None:
    with pytest.raises(BenchError):
        check(options, KNOWN)


def test_a_family_is_a_process_and_everything_below_it() -> None:
    parents = {1: 0, 10: 1, 11: 10, 12: 11, 20: 1}
    assert family(10, parents) == {10, 11, 12}
    assert family(99, parents) == set()


def test_what_is_not_known_stays_unknown_in_a_difference() -> None:
    spent = CpuReading(None, 5.0, 9.0).since(CpuReading(None, 2.0, 4.0))
    assert spent == CpuReading(None, 3.0, 5.0)


def test_a_failed_run_says_so() -> None:
    report = BenchReport(
        date="2026-11-21T00:00:00+00:00",
        options={"rounds": 1, "seconds": 1.0, "warmup_seconds": 0.0, "pgbench": False, "rate": None},
        machine=dict.fromkeys(
            ("cpu", "cores", "memory", "filesystem", "kernel", "python", "load_average_before"), "?"
        ),
        postgres=None,
        workloads=[],
        verification=None,
        kept=None,
        metrics={},
        failures=["uniform, round 1 of 1: 3 times 503 queue_full"],
        notes=[],
    )
    assert not report.passed
    assert "FAILED: uniform, round 1 of 1: 3 times 503 queue_full" in render(report)
    assert "NOT verified" in render(report)
