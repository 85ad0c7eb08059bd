"""The histogram: bounded, exact below 256 µs, never flattering above."""

import random

import pytest

from nostro.bench.latency import BUCKETS, MAX_US, Histogram, bucket_of, upper_edge


def test_every_value_lies_in_its_bucket_and_the_bucket_is_narrow() -> None:
    chance = random.Random(7)
    values = [*range(5000), MAX_US, *(chance.randrange(MAX_US) for _ in range(5000))]
    for value in values:
        bucket = bucket_of(value)
        assert 0 <= bucket < BUCKETS
        assert upper_edge(bucket - 1) < value <= upper_edge(bucket) or value == 0
        assert upper_edge(bucket) - value <= value / 128


def test_recording_and_the_formula_agree() -> None:
    for value in (0, 1, 127, 128, 255, 256, 257, 511, 512, 99_999, MAX_US):
        histogram = Histogram()
        histogram.record(value)
        assert histogram.filled() == [(bucket_of(value), 1)]


def test_percentiles_are_never_below_the_true_ones_and_at_most_a_bucket_above() -> None:
    chance = random.Random(11)
    values = sorted(int(chance.lognormvariate(8, 1)) for _ in range(20_000))
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    for percent in (50, 90, 99, 99.9, 100):
        true = values[max(0, -int(-len(values) * percent // 100) - 1)]
        assert true <= histogram.percentile(percent) <= true * 1.008 + 1
    assert histogram.percentile(100) == values[-1]


def test_merging_equals_recording_everything_in_one() -> None:
    one, other, both = Histogram(), Histogram(), Histogram()
    for value in range(0, 60_000, 7):
        (one if value % 2 else other).record(value)
        both.record(value)
    one.merge(other.filled(), other.max_us)
    assert one.counts == both.counts
    assert (one.total, one.max_us) == (both.total, both.max_us)


def test_what_is_too_long_to_measure_is_counted_at_the_end() -> None:
    histogram = Histogram()
    histogram.record(MAX_US * 5)
    assert histogram.percentile(50) == histogram.max_us == MAX_US


@pytest.mark.parametrize("percent", [0, 50, 100])
def test_an_empty_histogram_answers_zero(percent: float) -> None:
    assert Histogram().percentile(percent) == 0
