"""Histograms against the exact sorted values."""

from __future__ import annotations

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from paycli.load.histogram import Histogram, merged

MICROSECONDS = st.one_of(st.integers(0, 5000), st.integers(0, 10**10))
VALUES = st.lists(MICROSECONDS, min_size=1, max_size=200)
PERCENTS = st.sampled_from([0.1, 1, 50, 90, 95, 99, 99.9, 100])


def histogram_of(values: list[int]) -> Histogram:
    histogram = Histogram()
    for each in values:
        histogram.add(each)
    return histogram


@given(VALUES, PERCENTS)
def test_percentiles_are_those_of_the_sorted_values(values: list[int], percent: float) -> None:
    rank = max(1, ceil(len(values) * percent / 100 - 1e-9))
    exact = sorted(values)[rank - 1]
    told = histogram_of(values).percentile(percent)
    assert told is not None
    assert exact <= told <= exact * 1.001
    assert exact > 2047 or told == exact


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_parts_merge_to_the_whole(parts: list[list[int]]) -> None:
    whole = histogram_of([each for part in parts for each in part])
    together = merged(map(histogram_of, parts))
    assert together.counts == whole.counts
    assert sum(count for _, count in together.buckets()) == whole.total


def test_nothing_has_no_percentile_and_a_clock_set_back_is_zero() -> None:
    assert (Histogram().percentile(99), Histogram().mean()) == (None, None)
    assert histogram_of([-5]).percentile(50) == 0
