"""Whether a commit waits, by what the commits before it were like."""

from __future__ import annotations

import math

from paycli.storage.crowd import Crowd


def waits(crowd: Crowd, batches: list[int]) -> list[float]:
    """What each of these batches was to wait for."""
    asked = []
    for batch in batches:
        asked.append(crowd.awaited(batch))
        crowd.served(batch)
    return asked


def test_one_caller_at_a_time_is_never_kept_waiting() -> None:
    assert waits(Crowd(), [1] * 100) == [0] * 100


def test_a_few_callers_are_kept_waiting_now_and_then_only() -> None:
    asked = waits(Crowd(), [3] * 64)
    assert asked == ([0] * 15 + [math.inf]) * 4


def test_a_wait_that_brought_a_crowd_is_kept_for_half_of_it() -> None:
    crowd = Crowd()
    assert waits(crowd, [2] * 16)[-1] == math.inf
    assert waits(crowd, [62, 30, 34, 32])[1:] == [32, 46, 46 * 0.95]


def test_a_crowd_that_went_home_is_forgotten() -> None:
    crowd = Crowd()
    waits(crowd, [32, 32])
    asked = waits(crowd, [1] * 40)
    assert asked[0] == 32
    assert set(asked[25:]) == {0}
    assert asked[:20] == sorted(asked[:20], reverse=True)
