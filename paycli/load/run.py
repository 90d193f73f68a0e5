"""A run of load: turns of the generators, what stands beside them, and the result."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from paycli.load.fleet import Fleet, fleet_of
from paycli.load.floor import Processors, baseline_of, echo_server, fsyncs_a_second, machine
from paycli.load.histogram import Histogram, merged
from paycli.load.observed import Observed
from paycli.load.plan import Plan, Turn
from paycli.load.result import Config, Generators, Result, Slice, ms

Show = Callable[[float, int, int], None]

_SLICES_MAX: Final = 60
_SLICE_S: Final = 1.0
_SLICES_LEAST: Final = 5
_BUSY: Final = 0.9  # of a processor: from there on the generator may be what is measured
_FULL: Final = 0.95  # of all processors of the machine
_LATE_US: Final = 10_000
_FSYNC_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Run:
    """How to run loads: `show` is told of seconds, successes and errors; `stop` ends what runs."""

    stop: threading.Event
    show: Show
    with_baseline: bool = False
    service_pid: int | None = None

    def __call__(self, plan: Plan, config: Config) -> Result:
        """Load as configured. Raises Unreachable and StartError."""
        with fleet_of(config.processes, self.stop) as fleet:
            fleet.begin(plan)
            processors = Processors(self.service_pid)
            started_at = datetime.now(UTC).isoformat(timespec="seconds")
            if self.with_baseline:
                turns = _beside_floor(fleet, config, self.show)
            else:
                seen = _turn(fleet, config, config.duration_s, config.warm_up_s, self.show)
                turns = [(seen, None, None)]
            on = machine(processors)
            return _result(config, started_at, turns, on, is_interrupted=self.stop.is_set())


_Turns = list[tuple[Observed, float | None, float | None]]


def slice_count(seconds: float) -> int:
    """Enough to see the noise, and no more than can be looked at."""
    return max(_SLICES_LEAST, min(_SLICES_MAX, round(seconds / _SLICE_S)))


def _turn(
    fleet: Fleet, config: Config, seconds: float, warm_up_s: float, show: Show, slices: int = 0
) -> Observed:
    begun = time.monotonic()
    bin_s = seconds / (slices or slice_count(seconds))
    turn = Turn(config.target, seconds, warm_up_s, bin_s, config.concurrency, config.rate)
    return fleet.turn(turn, lambda ok, errors: show(time.monotonic() - begun, ok, errors))


def _beside_floor(fleet: Fleet, config: Config, show: Show) -> _Turns:
    """Slices of the service, each followed by one of the echo (as long) and of the disk."""
    count = slice_count(config.duration_s)
    seconds = config.duration_s / count
    turns: _Turns = []
    with ExitStack() as stack:
        echo = ""
        ok = errors = 0
        for number in range(count):
            show_all = partial(_show_after, show, number * seconds, ok, errors)
            warm_up_s = config.warm_up_s if not turns else 0.0
            seen = _turn(fleet, config, seconds, warm_up_s, show_all, slices=1)
            ok += sum(each.ok for each in seen.bins)
            errors += sum(each.errors for each in seen.bins)
            if fleet.stop.is_set():
                turns.append((seen, None, None))
                break
            echo_warm_up_s = 0.0
            if not echo:
                echo = stack.enter_context(echo_server(seen.answer_bytes))
                echo_warm_up_s = min(config.warm_up_s, 1.0)
            there = replace(config, target=echo)
            floor = _turn(fleet, there, seconds, echo_warm_up_s, lambda *_: None, slices=1)
            turns.append((seen, _rate(floor), fsyncs_a_second(min(_FSYNC_S, seconds))))
    return turns


def _show_after(
    show: Show, before_s: float, ok: int, errors: int, at_s: float, more_ok: int, more_errors: int
) -> None:
    show(before_s + at_s, ok + more_ok, errors + more_errors)


def _rate(seen: Observed) -> float:
    return sum(each.ok for each in seen.bins) / seen.seconds if seen.seconds else 0.0


def _result(
    config: Config, started_at: str, turns: _Turns, on: dict[str, Any], *, is_interrupted: bool
) -> Result:
    slices: list[Slice] = []
    before_s = 0.0
    for seen, echo, fsync in turns:
        slices += _slices(seen, before_s, echo, fsync)
        before_s += seen.seconds
    statuses: Counter[str] = Counter()
    for seen, _, _ in turns:
        statuses.update(seen.statuses)
    ok = sum(each.ok for each in slices)
    return Result(
        config=config,
        started_at=started_at,
        seconds=before_s,
        is_interrupted=is_interrupted,
        statuses=dict(statuses),
        rate=ok / before_s if before_s else 0.0,
        latencies=merged(each.latencies for seen, _, _ in turns for each in seen.bins),
        slices=slices,
        generators=generators_of([seen for seen, _, _ in turns], on["busy"]),
        machine=on,
        baseline=baseline_of(slices),
    )


def _slices(
    seen: Observed, before_s: float, echo: float | None, fsync: float | None
) -> list[Slice]:
    found = []
    for number, each in enumerate(seen.bins):
        at = number * seen.bin_s
        seconds = min(seen.bin_s, seen.seconds - at)
        if seconds <= 0:  # of a run that was interrupted
            break
        p50, p99 = (ms(each.latencies.percentile(percent)) for percent in (50, 99))
        rate = each.ok / seconds
        found.append(
            Slice(before_s + at, seconds, each.ok, each.errors, rate, p50, p99, echo, fsync)
        )
    return found


def generators_of(turns: list[Observed], machine_busy: float | None) -> Generators:
    """Whether it was they who were measured, by the most that any turn showed, or the whole machine."""
    shares = [max(each) for each in zip(*(seen.cpu_shares for seen in turns), strict=False)]
    late: Histogram = merged(seen.late for seen in turns)
    late_us = late.percentile(99)
    busy = max(shares, default=0.0)
    why = ""
    if busy > _BUSY:
        why = f"a generator used {busy:.0%} of a processor; more --processes may show more"
    elif late_us is not None and late_us > _LATE_US:
        why = f"1% of calls were sent {late_us / 1000:.0f} ms late or more; more --processes, or less --rate"
    elif machine_busy is not None and machine_busy > _FULL:
        why = (
            f"this machine's processors were {machine_busy:.0%} busy, and the generators used "
            f"{sum(shares):.1f} of them; a service on another machine may show more"
        )
    return Generators(shares, ms(late_us), bool(why), why)
