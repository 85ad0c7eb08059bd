"""Latencies in bounded memory: a histogram whose buckets grow with the value.

Values are whole microseconds. Below 256 every value has its own bucket; above, each doubling is cut into
128, so a bucket is at most 1/128 of its value wide. Percentiles answer the upper edge of the bucket, never
less than was measured, and never more than the largest value seen.
"""

from collections.abc import Iterable

_PRECISION_BITS = 7
_SUB_BUCKETS = 1 << _PRECISION_BITS
MAX_US = (1 << 30) - 1
"""About 18 minutes, longer than any run may last; anything above is counted there."""


def bucket_of(value_us: int) -> int:
    shift = max(0, value_us.bit_length() - _PRECISION_BITS - 1)
    return (shift << _PRECISION_BITS) + (value_us >> shift)


def upper_edge(bucket: int) -> int:
    """The largest value that falls into `bucket`, in microseconds."""
    if bucket < 2 * _SUB_BUCKETS:
        return bucket
    shift = (bucket >> _PRECISION_BITS) - 1
    return ((bucket - (shift << _PRECISION_BITS) + 1) << shift) - 1


BUCKETS = bucket_of(MAX_US) + 1


class Histogram:
    __slots__ = ("counts", "max_us", "total")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.total = 0
        self.max_us = 0

    def record(self, value_us: int) -> None:
        # The formula of bucket_of, written out: this runs once per request beside the server that is being
        # measured.
        shift = value_us.bit_length() - 8
        if shift > 0:
            if value_us > MAX_US:
                value_us, shift = MAX_US, MAX_US.bit_length() - 8
            self.counts[(shift << 7) + (value_us >> shift)] += 1
        else:
            self.counts[value_us] += 1
        self.total += 1
        if value_us > self.max_us:  # noqa: PLR1730 - max() costs a call per request
            self.max_us = value_us

    def percentile(self, percent: float) -> int:
        """The value, in microseconds, that `percent` of what was recorded does not exceed; 0 when nothing
        was.
        """
        wanted = self.total * percent / 100
        seen = 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if count and seen >= wanted:
                return min(upper_edge(bucket), self.max_us)
        return self.max_us

    def merge(self, buckets: Iterable[tuple[int, int]], max_us: int) -> None:
        """Add what another histogram recorded."""
        for bucket, count in buckets:
            self.counts[bucket] += count
            self.total += count
        self.max_us = max(self.max_us, max_us)

    def filled(self) -> list[tuple[int, int]]:
        """Only the buckets with something in them, as (bucket, count)."""
        return [(bucket, count) for bucket, count in enumerate(self.counts) if count]
