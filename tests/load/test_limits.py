"""When it was not the service that was measured."""

from __future__ import annotations

import os

import pytest

from paycli.load.floor import Processors
from paycli.load.observed import Bin, Observed
from paycli.load.run import generators_of


def seen(share: float, late_us: int = 0) -> Observed:
    observed = Observed(1.0, 1.0, [Bin()])
    observed.cpu_shares = [share]
    observed.late.add(late_us)
    return observed


@pytest.mark.parametrize(
    ("share", "late_us", "busy", "said"),
    [
        (0.5, 0, 0.5, ""),
        (0.5, 0, None, ""),
        (0.95, 0, 0.5, "a generator used 95% of a processor"),
        (0.5, 20_000, 0.5, "20 ms late"),
        (
            0.5,
            0,
            0.99,
            "this machine's processors were 99% busy, and the generators used 0.5 of them",
        ),
    ],
)
def test_it_says_what_else_was(share: float, late_us: int, busy: float | None, said: str) -> None:
    found = generators_of([seen(share, late_us)], busy)
    assert found.is_limit == bool(said)
    assert said in found.why


def test_processors_are_busy_in_part() -> None:
    processors = Processors(os.getpid())
    sum(range(3_000_000))
    busy, own = processors.busy(), processors.service()
    assert busy is None or 0 < busy <= 1
    assert own is None or own > 0
    assert Processors().service() is None
