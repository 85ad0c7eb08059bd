"""The benchmark run whole, for as short as it may be: it measures, compares, verifies, and cleans up."""

import json
from pathlib import Path

import pytest

from nostro.bench import BenchError, BenchOptions, BenchReport, render, run
from nostro.bench.figures import Kept

pytestmark = pytest.mark.slow


def brief(scratch: Path, *workloads: str, entries: tuple[int, ...] = ()) -> BenchReport:
    report = run(
        BenchOptions(
            workloads=workloads,
            seconds=0.5,
            warmup_seconds=0.2,
            rounds=1,
            accounts=40,
            entries=entries,
            pgbench=False,
            scratch_dir=scratch,
            json_path=scratch / "figures.json",
        )
    )
    assert report.passed, report.failures
    assert all(each.passed for each in report.verifications)
    assert [path.name for path in scratch.iterdir()] == ["figures.json"]
    return report


def everything_is_kept(kept: Kept) -> bool:
    return kept.stored == kept.acknowledged > 0 and kept.bytes_per_transaction > 0


def test_a_run_measures_capacity_then_latency_at_half_of_it_and_verifies(tmp_path: Path) -> None:
    report = brief(tmp_path, "uniform", "read-mix", "bulk", "singles-beside-bulk")
    uniform, mix, bulk, singles, beside = report.workloads
    assert uniform.at_half is not None
    assert uniform.at_half.rate == pytest.approx(uniform.per_second.median / 2)
    assert uniform.at_half.latency["transfer"].p99_ms > 0
    assert mix.at_half is not None
    assert set(mix.at_half.latency) == {"transfer", "balance"}
    assert bulk.at_half is None
    assert bulk.per_second.median > 100
    assert uniform.batches is not None
    assert uniform.batches.requests >= uniform.rounds[0].operations
    assert beside.by_kind["bulk"].median > 0
    assert singles.latency["transfer"].p99_ms > 0
    [compared] = report.comparisons
    assert (compared.workload, compared.against, compared.cost) == ("singles-beside-bulk", "singles", None)
    assert all(everything_is_kept(kept) for kept in report.kept)
    assert "Batches" in render(report)
    assert json.loads((tmp_path / "figures.json").read_bytes())["workloads"][0]["name"] == "uniform"


def test_a_seeded_ledger_verifies_and_is_compared_with_a_smaller_one(tmp_path: Path) -> None:
    report = brief(tmp_path, "grown", entries=(2000, 1000))
    assert [each.entries for each in report.workloads] == [1000, 2000] * 4
    assert [each.against for each in report.comparisons] == [
        f"{name}, 1,000 entries" for name in ("grown-balance", "grown-first-page", "grown-page-10000", "grown")
    ]
    for verification in report.verifications:
        assert verification.answer["entries"] >= 1000
    assert all(everything_is_kept(kept) for kept in report.kept)


def test_a_ledger_that_is_in_use_is_not_seeded(tmp_path: Path) -> None:
    options = BenchOptions(
        workloads=("grown",), url="http://127.0.0.1:1", data_dir=tmp_path, system_email="a", system_password="b"
    )
    with pytest.raises(BenchError, match="not seeded"):
        run(options)
