"""Two runs of the same load, and whether they differ by more than their own noise.

The noise of a run is the middle half of its slices. Where both have a baseline, ratios to the echo are
compared instead of rates, which takes out how busy the machine was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

from paycli.errors import DocumentError, InputError
from paycli.load.result import FORMAT

_SAME: Final = ("method", "concurrency", "rate", "processes", "payments_per_call", "loader")
_MAY_BE_NULL: Final = ("p50_ms", "echo_rate")
_LEAST: Final = 3  # slices, for a spread that says anything
_SMALLEST: Final = 0.03  # a difference below this is nobody's concern


class Verdict(StrEnum):
    """Of this run, against the earlier one."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "no difference that the noise allows to see"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared, its medians, and the first quarter to the third of each run's slices."""

    verdict: Verdict
    measure: str
    now: float
    before: float
    change: float
    noise_now: tuple[float, float]
    noise_before: tuple[float, float]

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.verdict}: {self.measure} {self.now:,.4g} against {self.before:,.4g} ({self.change:+.1%}); "
            f"noise {self.noise_now[0]:,.4g} to {self.noise_now[1]:,.4g} "
            f"against {self.noise_before[0]:,.4g} to {self.noise_before[1]:,.4g}"
        )


def read_earlier(path: Path) -> dict[str, Any]:
    """An earlier result. Raises DocumentError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise DocumentError(path, f"cannot be read: {problem.strerror}.") from problem
    except (ValueError, RecursionError) as problem:
        raise DocumentError(path, "this is no JSON; 'paycli bench --json' writes one.") from problem
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DocumentError(path, f"this is no result of 'paycli bench --json' ({FORMAT}).")
    slices, config = document.get("slices"), document.get("config")
    fit = isinstance(slices, list) and all(map(_is_slice, slices))
    if not fit or not isinstance(config, dict):
        raise DocumentError(path, "this result lacks its config or its slices.")
    return document


def _is_slice(value: object) -> bool:
    numbers = (int, float)
    return (
        isinstance(value, dict)
        and isinstance(value.get("rate"), numbers)
        and all(isinstance(value.get(name), (*numbers, None.__class__)) for name in _MAY_BE_NULL)
    )


def refuse_other_load(config: Mapping[str, Any], earlier: Mapping[str, Any], path: Path) -> None:
    """Raises InputError where the earlier run was of another load."""
    for name in _SAME:
        if config.get(name) != earlier["config"].get(name):
            raise InputError(
                f"{path} is of another load: its {name} is {earlier['config'].get(name)}, here {config.get(name)}."
            )


def compare(now: Mapping[str, Any], before: Mapping[str, Any]) -> Comparison:
    """Of two documents. Raises InputError if one has too few slices to know its noise."""
    open_loop = now["config"]["rate"] is not None
    both_have_floor = bool(now.get("baseline")) and bool(before.get("baseline"))
    if open_loop:
        measure = "p50 in ms"
    else:
        measure = "rate to the echo" if both_have_floor else "rate a second"
    ours, theirs = (_values(each, measure) for each in (now, before))
    for values, which in ((ours, "This run"), (theirs, "The earlier run")):
        if len(values) < _LEAST:
            raise InputError(
                f"{which} has {len(values)} slices with successes; {_LEAST} are needed to know its noise."
            )
    (low, middle, high), (low_then, then, high_then) = (
        quantiles(values, n=4, method="inclusive") for values in (ours, theirs)
    )
    change = middle / then - 1 if then else 0.0
    apart = low > high_then or high < low_then
    verdict = Verdict.SAME
    if apart and abs(change) >= _SMALLEST:
        verdict = Verdict.FASTER if (change > 0) is not open_loop else Verdict.SLOWER
    return Comparison(verdict, measure, middle, then, change, (low, high), (low_then, high_then))


def _values(document: Mapping[str, Any], measure: str) -> Sequence[float]:
    slices = document["slices"]
    if measure == "rate to the echo":
        return [each["rate"] / each["echo_rate"] for each in slices if each.get("echo_rate")]
    key = "p50_ms" if measure == "p50 in ms" else "rate"
    return [each[key] for each in slices if each.get(key) is not None]
