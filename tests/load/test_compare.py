"""Comparisons of runs that differ by more than their noise, and of runs that do not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from paycli.errors import DocumentError, InputError
from paycli.load.compare import Verdict, compare, read_earlier, refuse_other_load
from tests.load.results import CONFIG, result_of

STEADY = [1000.0, 1010, 990, 1005, 995]
FAST = [1500.0, 1510, 1490, 1505, 1495]
ODD = '{"format": "paycli-bench/1", "config": {}, "slices": [{"rate": "x"}]}'
NOISY = [500.0, 1500, 700, 2200, 1000]


@pytest.mark.parametrize(
    ("now", "before", "verdict"),
    [
        (FAST, STEADY, Verdict.FASTER),
        (STEADY, FAST, Verdict.SLOWER),
        (STEADY, STEADY, Verdict.SAME),
        (FAST, NOISY, Verdict.SAME),
        ([each * 1.02 for each in STEADY], STEADY, Verdict.SAME),
    ],
)
def test_noise_decides(now: list[float], before: list[float], verdict: Verdict) -> None:
    assert compare(result_of(now).as_dict(), result_of(before).as_dict()).verdict is verdict


def test_where_both_know_the_floor_it_takes_out_how_busy_the_machine_was() -> None:
    now = result_of(STEADY, echoes=[each * 4 for each in STEADY])
    before = result_of(FAST, echoes=[each * 4 for each in FAST])
    assert compare(now.as_dict(), before.as_dict()).verdict is Verdict.SAME


def test_in_the_open_loop_latencies_are_compared() -> None:
    config = replace(CONFIG, concurrency=None, rate=100.0)
    now, before = (result_of(each, config=config).as_dict() for each in (FAST, STEADY))
    compared = compare(now, before)  # the higher rates have the lower latencies
    assert (compared.verdict, compared.measure) == (Verdict.FASTER, "p50 in ms")


def test_two_slices_know_no_noise() -> None:
    with pytest.raises(InputError, match="2 slices"):
        compare(result_of(STEADY).as_dict(), result_of([1, 2]).as_dict())


def test_another_load_is_refused(tmp_path: Path) -> None:
    earlier = result_of(STEADY, config=replace(CONFIG, concurrency=4)).as_dict()
    with pytest.raises(InputError, match="its concurrency is 4, here 16"):
        refuse_other_load(result_of(STEADY).as_dict()["config"], earlier, tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "paycli-bench/2"}', "null", ODD])
def test_a_file_that_is_no_result_is_told_of(tmp_path: Path, text: str) -> None:
    (tmp_path / "it.json").write_text(text)
    with pytest.raises(DocumentError, match=r"it\.json"):
        read_earlier(tmp_path / "it.json")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    document = result_of(STEADY, latencies_ms=[1, 2]).as_dict()
    (tmp_path / "it.json").write_text(json.dumps(document))
    assert read_earlier(tmp_path / "it.json") == json.loads(json.dumps(document))
