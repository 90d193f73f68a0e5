"""Thresholds: what fails, what holds, and what is none."""

from __future__ import annotations

import pytest

from paycli.errors import InputError
from paycli.load.thresholds import threshold_of
from tests.load.results import result_of

RUN = result_of([400, 600], latencies_ms=[10] * 98 + [60] * 2, statuses={"OK": 998, "ABORTED": 2})


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("p99 > 50ms", True),
        ("p99>0.05s", True),
        ("p50 > 50ms", False),
        ("p50 >= 10000us", True),
        ("max > 61 ms", False),
        ("errors > 0.1%", True),
        ("errors > 0.2%", False),
        ("errors >= 0.2%", True),
        ("errors > 1", True),
        ("errors > 2", False),
        ("rate < 500", False),
        ("rate <= 500/s", True),
    ],
)
def test_a_run_fails_what_lies_on_that_side(text: str, *, fails: bool) -> None:
    assert bool(threshold_of(text).complaint(RUN)) is fails


def test_what_nothing_was_measured_of_fails() -> None:
    assert "no call succeeded" in threshold_of("p99 > 1s").complaint(result_of([]))


@pytest.mark.parametrize(
    "text",
    ["", "p99", "p99 > 50", "p98 > 1ms", "rate < 5ms", "errors > 1ms", "p99 = 1ms", "p99 > -1ms"],
)
def test_a_mistake_is_told_of(text: str) -> None:
    with pytest.raises(InputError, match="--fail-if"):
        threshold_of(text)
