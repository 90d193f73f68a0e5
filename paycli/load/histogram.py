"""Latencies as counts: three significant digits of any number of values, in a few thousand buckets.

Buckets are as fine as HdrHistogram's: whole microseconds up to 2048, then 1024 of them for each doubling,
so that a value is never told more than 0.1 % too high. Two of them merge without loss.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import ceil
from typing import Final

_BITS: Final = 11  # 2**11 values are counted exactly
_HALF: Final = 1 << (_BITS - 1)


class Histogram:
    """How often which latency was seen, in whole microseconds."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts = Counter(counts or {})

    def add(self, microseconds: int) -> None:
        """One more value; one below zero, of a clock that was set, is zero."""
        self.counts[_bucket(max(microseconds, 0))] += 1

    def merge(self, other: Histogram) -> None:
        """Add all that another has seen."""
        self.counts.update(other.counts)

    @property
    def total(self) -> int:
        """How many values were added."""
        return self.counts.total()

    def percentile(self, percent: float) -> int | None:
        """The value that so many percent do not exceed, in microseconds; None without any."""
        wanted = max(1, ceil(self.total * percent / 100 - 1e-9))
        seen = 0
        for bucket, count in sorted(self.counts.items()):
            seen += count
            if seen >= wanted:
                return _highest(bucket)
        return None

    def mean(self) -> float | None:
        """Of the buckets' highest values, in microseconds; None without any."""
        if not self.total:
            return None
        return sum(_highest(each) * count for each, count in self.counts.items()) / self.total

    def buckets(self) -> list[tuple[int, int]]:
        """Highest value in microseconds and count of each bucket that is not empty, in order."""
        return [(_highest(bucket), count) for bucket, count in sorted(self.counts.items())]


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """All in one."""
    whole = Histogram()
    for each in histograms:
        whole.merge(each)
    return whole


def _bucket(value: int) -> int:
    shift = max(0, value.bit_length() - _BITS)
    return shift * _HALF + (value >> shift)


def _highest(bucket: int) -> int:
    """The highest value that the bucket stands for."""
    shift = max(0, bucket // _HALF - 1)
    return ((bucket - shift * _HALF + 1) << shift) - 1
