"""Dividing an amount: nothing lost, nothing made, nobody further than a unit from the exact share."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from nostro.domain.splitting import divide

TOTALS = st.one_of(st.integers(0, 200), st.integers(0, 10**15))
WEIGHTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=100).filter(any)


@given(TOTALS, WEIGHTS)
def test_the_parts_are_the_whole_and_close_to_their_shares(total: int, weights: list[int]) -> None:
    parts = divide(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1
        assert weight or not part


@given(st.integers(0, 60), st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_the_units_left_over_go_to_the_largest_remainders(total: int, weights: list[int]) -> None:
    """By hand: one unit at a time to whoever is furthest behind, the earlier of two equals first."""
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]
    parts = [int(share) for share in exact]
    while sum(parts) < total:
        behind = [share - part for share, part in zip(exact, parts, strict=True)]
        parts[behind.index(max(behind))] += 1
    assert divide(total, weights) == parts


@given(TOTALS, WEIGHTS, st.integers(1, 1000))
def test_only_the_proportions_count(total: int, weights: list[int], factor: int) -> None:
    assert divide(total, [weight * factor for weight in weights]) == divide(total, weights)
