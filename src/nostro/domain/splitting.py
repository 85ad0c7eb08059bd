"""Dividing an amount among several without losing or making a unit: the method of the largest remainder."""

from collections.abc import Sequence
from fractions import Fraction

from nostro.domain.errors import InvalidField
from nostro.domain.requests import Part


def divide(total: int, weights: Sequence[Fraction | int]) -> list[int]:
    """`total` minor units in proportion to `weights`: each exact share rounded down, and the units that are
    left over to the largest remainders, the earlier of two equal ones first. The parts sum to `total`, and none
    is further than one unit from its exact share."""
    whole = sum(weights, Fraction(0))
    exact = [Fraction(total) * weight / whole for weight in weights]
    parts = [int(share) for share in exact]
    by_remainder = sorted(range(len(parts)), key=lambda nth: (parts[nth] - exact[nth], nth))
    for nth in by_remainder[: total - sum(parts)]:
        parts[nth] += 1
    return parts


def split(total: int, exponent: int, parts: Sequence[Part]) -> list[int]:
    """What each of `parts` gets of `total`, in order. Shares are of the whole total and are rounded together.

    Raises `InvalidField` when fixed amounts and shares do not come out at the total: without a remainder they
    must be all of it, with one no more than it.
    """
    fixed = [part.amount.minor_units(exponent) if part.amount else 0 for part in parts]
    shares = [part.share or Fraction(0) for part in parts]
    takes_rest = [part.amount is None and part.share is None for part in parts]
    exact_rest = Fraction(total - sum(fixed)) - total * sum(shares, Fraction(0))
    if exact_rest < 0 or (exact_rest > 0 and not any(takes_rest)):
        raise InvalidField("to", "must come out at the amount: fixed amounts, shares and at most one remainder")
    weights = [exact_rest if rest else total * share for rest, share in zip(takes_rest, shares, strict=True)]
    rounded = divide(total - sum(fixed), weights) if any(weights) else [0] * len(parts)
    return [amount + more for amount, more in zip(fixed, rounded, strict=True)]
