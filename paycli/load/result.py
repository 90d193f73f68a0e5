"""What a run of load showed, as `--json` prints it, `--compare` reads it and reports draw it.

`docs/bench.md` describes each field. The shape only grows: a reader of today's documents reads tomorrow's.
Milliseconds and seconds are floats; what was not measured is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from paycli.load.histogram import Histogram

FORMAT: Final = "paycli-bench/1"
PERCENTILES: Final = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p99.9": 99.9}


@dataclass(frozen=True, slots=True)
class Config:
    """What was asked for. `rate` is set in the open loop, `concurrency` in the closed one.

    `loader` is `frames` or `grpcio`; `why_grpcio` says why the cheap one could not be used.
    """

    target: str
    is_own_server: bool
    method: str
    concurrency: int | None
    rate: float | None
    duration_s: float
    warm_up_s: float
    processes: int
    timeout_s: float
    payments_per_call: int
    loader: str
    why_grpcio: str


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of the run. Latencies are of the calls that were due in it and succeeded.

    With a baseline: calls a second of the echo and fsyncs a second, right after it.
    """

    at_s: float
    seconds: float
    ok: int
    errors: int
    rate: float
    p50_ms: float | None
    p99_ms: float | None
    echo_rate: float | None = None
    fsync_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """Least, middle and greatest over the slices."""

    min: float
    median: float
    max: float


@dataclass(frozen=True, slots=True)
class Baseline:
    """This machine's floor, and the service as a ratio to it.

    A ratio of 0.5 to the echo is half the calls a second of a servicer that does nothing.
    """

    echo_rate: Spread
    fsync_rate: Spread
    rate_to_echo: Spread
    rate_to_fsync: Spread


@dataclass(frozen=True, slots=True)
class Growth:
    """The rate with so many payments stored; `ratio` is to the first."""

    stored: int
    rate: float
    p99_ms: float | None
    ratio: float


@dataclass(frozen=True, slots=True)
class Generators:
    """Whether the generators were what was measured, and what says so.

    `cpu_shares` is processor time a second of each process; `late_p99_ms` how late an open loop sent.
    """

    cpu_shares: list[float]
    late_p99_ms: float | None
    is_limit: bool
    why: str


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run."""

    config: Config
    started_at: str
    seconds: float
    is_interrupted: bool
    statuses: Mapping[str, int]
    rate: float
    latencies: Histogram
    slices: list[Slice]
    generators: Generators
    machine: Mapping[str, object]
    baseline: Baseline | None = None
    growth: list[Growth] = field(default_factory=list)

    @property
    def ok(self) -> int:
        """Calls that succeeded."""
        return self.statuses.get("OK", 0)

    @property
    def calls(self) -> int:
        """All calls that were due in the run."""
        return sum(self.statuses.values())

    @property
    def errors(self) -> int:
        """Calls that ended with another status than OK."""
        return self.calls - self.ok

    @property
    def silent_after_s(self) -> float | None:
        """When the service was gone for the rest of the run; None if it was there at the end."""
        last = self.slices[-1] if self.slices else None
        if last is None or last.ok or not last.errors or "UNAVAILABLE" not in self.statuses:
            return None
        return max((each.at_s + each.seconds for each in self.slices if each.ok), default=0.0)

    def latency_ms(self) -> dict[str, float | None]:
        """Percentiles, max and mean of the successes."""
        found: dict[str, float | None] = {
            name: ms(self.latencies.percentile(percent)) for name, percent in PERCENTILES.items()
        }
        return {
            **found,
            "max": ms(self.latencies.percentile(100)),
            "mean": ms(self.latencies.mean()),
        }

    def as_dict(self) -> dict[str, Any]:
        """The document."""
        return {
            "format": FORMAT,
            "started_at": self.started_at,
            "is_interrupted": self.is_interrupted,
            "config": asdict(self.config),
            "seconds": self.seconds,
            "calls": self.calls,
            "ok": self.ok,
            "errors": self.errors,
            "statuses": dict(self.statuses),
            "rate": self.rate,
            "latency_ms": self.latency_ms(),
            "histogram": [
                {"up_to_ms": most / 1000, "count": count}
                for most, count in self.latencies.buckets()
            ],
            "slices": [asdict(each) for each in self.slices],
            "generators": asdict(self.generators),
            "baseline": asdict(self.baseline) if self.baseline else None,
            "growth": [asdict(each) for each in self.growth],
            "machine": dict(self.machine),
        }


def ms(microseconds: float | None) -> float | None:
    """Microseconds as milliseconds."""
    return None if microseconds is None else microseconds / 1000
