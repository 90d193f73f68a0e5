"""What a run must not do: `p99 > 50ms`, `errors > 0.1%`, `rate < 500`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from paycli.errors import InputError
from paycli.load.result import Result

_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_LATENCIES: Final = ("p50", "p90", "p95", "p99", "p99.9", "max", "mean")
_UNITS_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_FORM: Final = re.compile(
    r"\s*(?P<what>[\w.]+)\s*(?P<how>[<>]=?)\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[a-z%/]*)\s*",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A run fails if what is measured lies on this side of a bound."""

    text: str
    what: str
    how: str
    bound: float
    unit: str

    def complaint(self, result: Result) -> str:
        """How the run failed it; "" if it did not. What nothing was measured of fails."""
        measured = self._measured(result)
        if measured is None:
            return f"{self.what} is not known, for no call succeeded ({self.text})"
        if not _OPERATORS[self.how](measured, self.bound):
            return ""
        return f"{self.what} is {measured:,.6g}{self.unit} ({self.text})"

    def _measured(self, result: Result) -> float | None:
        if self.what == "rate":
            return result.rate
        if self.what == "errors":
            share = 100 * result.errors / result.calls if result.calls else 0.0
            return share if self.unit == "%" else float(result.errors)
        measured = result.latency_ms()[self.what]
        return None if measured is None else measured / _UNITS_MS[self.unit]


def threshold_of(text: str) -> Threshold:
    """Of what --fail-if says. Raises InputError."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise InputError(
            f"--fail-if '{text}' is no threshold; write 'p99 > 50ms', 'errors > 0.1%' or 'rate < 500'."
        )
    what, unit = found["what"], found["unit"]
    if what in _LATENCIES:
        units = tuple(_UNITS_MS)
    elif what == "errors":
        units = ("%", "")
    elif what == "rate":
        units = ("", "/s")
    else:
        raise InputError(
            f"--fail-if '{text}': nothing is called '{what}'; there are {', '.join(_LATENCIES)}, errors and rate."
        )
    if unit not in units:
        known = " or ".join(each or "none" for each in units)
        raise InputError(f"--fail-if '{text}': the unit of {what} is {known}.")
    return Threshold(text, what, found["how"], float(found["number"]), unit)
