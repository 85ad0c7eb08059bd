"""Ratios are of neighbours, and no figure is ever better on paper than it was."""

import pytest

from nostro.bench.figures import (
    BatchFigures,
    BenchReport,
    CpuFigures,
    LatencyFigures,
    RoundFigures,
    pairwise_ratio,
)
from nostro.bench.measure import cost_of_first
from nostro.bench.metrics import between, parsed, together
from nostro.bench.options import BenchError, BenchOptions, check, loopback_address
from nostro.bench.processes import CpuReading, family
from nostro.bench.report import down, render, up
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
        *(
            BenchOptions(workloads=("uniform",), server_settings={name: "x"})
            for name in ("JWT_SECRET", "SMTP_HOST", "NOSTRO_DATABASE_URL", "NOSTRO_AMQP_URL", "PATH", "")
        ),
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
        comparisons=[],
        verifications=[],
        kept=[],
        failures=["uniform, round 1 of 1: 3 times 503 queue_full"],
        notes=[],
    )
    assert not report.passed
    assert "FAILED: uniform, round 1 of 1: 3 times 503 queue_full" in render(report)
    assert "NOT verified" in render(report)


METRICS = """\
# HELP nostro_batch_requests Requests that one commit served.
# TYPE nostro_batch_requests histogram
nostro_batch_requests_bucket{le="1"} 3.0
nostro_batch_requests_bucket{le="2"} 5.0
nostro_batch_requests_bucket{le="+Inf"} 6.0
nostro_batch_requests_count 6.0
nostro_batch_requests_sum 17.0
nostro_batch_seconds_count 6.0
"""


def test_what_the_server_says_of_its_batches_is_read() -> None:
    read = parsed(METRICS)
    assert read == BatchFigures(6, 17, {"1": 3, "2": 5, "+Inf": 6})
    assert parsed("") is None
    later = BatchFigures(8, 21, {"1": 3, "2": 7, "+Inf": 8})
    assert between(read, later) == BatchFigures(2, 4, {"1": 0, "2": 2, "+Inf": 2})
    assert between(None, later) is None
    assert together([read, None, later]) == BatchFigures(14, 38, {"1": 6, "2": 12, "+Inf": 14})


def a_round(per_second: dict[str, float], cost_us: float) -> RoundFigures:
    latency = dict.fromkeys(per_second, LatencyFigures(1.0, 2.0, 4.0, 8.0))
    return RoundFigures(
        per_second=sum(per_second.values()),
        by_kind=per_second,
        latency=latency,
        cpu=CpuFigures(generator_us=0.0, api_us=cost_us, postgres_us=0.0, elsewhere_us=0.0),
        operations=100,
        wal_bytes=None,
        full_page_images=None,
        yardstick=[],
        ratio=None,
        unexpected={},
        sample="",
        late_p99_ms=None,
        batches=None,
    )


def test_what_one_kind_of_a_mix_costs_is_told_by_what_the_other_costs_alone() -> None:
    """300 operations a second at 100 µs are 30 ms; 200 holds at 60 µs are 12 of them; 18 ms are left to 100."""
    mixed, alone = a_round({"capture": 100, "hold": 200}, 100), a_round({"hold": 400}, 60)
    assert cost_of_first(mixed, ["capture", "hold"], alone, "hold") == pytest.approx(180)
    assert cost_of_first(mixed, ["capture", "hold"], alone, "transfer") is None
    assert cost_of_first(alone, ["hold"], mixed, "capture") == 60
