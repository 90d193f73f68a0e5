"""How `bench` looks: what is about to be sent, the run while it lasts, and its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from paycli.cli import output
from paycli.errors import InputError
from paycli.load.compare import compare
from paycli.load.methods import moves_money
from paycli.load.result import Baseline, Config, Result, Spread


def warning_of(config: Config) -> str:
    """What goes where, for whoever named a target."""
    what = "These are real payments: calls" if moves_money(config.method) else "Calls"
    each = "" if config.payments_per_call == 1 else f", {config.payments_per_call} payments each"
    seconds = config.duration_s + config.warm_up_s
    return f"{what} of {config.method} at {config.target}{each}, {_load(config)} for {seconds:g} s."


def _load(config: Config) -> str:
    if config.rate is not None:
        return f"{config.rate:g} a second"
    assert config.concurrency is not None
    return output.counted(config.concurrency, "caller")


class Progress:
    """Draws on one line how far a run has come."""

    def __init__(self, draw: Any, seconds: float) -> None:
        self._draw, self._seconds = draw, seconds

    def __call__(self, at_s: float, ok: int, errors: int) -> None:
        """Seconds since it began, and what ended so far."""
        share = min(1.0, at_s / self._seconds)
        self._draw(f"{output.bar_of(share)} {ok:,} calls, {output.counted(errors, 'error')}")

    def stored(self, count: int) -> None:
        """How far the store has been filled."""
        self._draw(f"{output.counted(count, 'payment')} stored")


@contextmanager
def progress_of(config: Config) -> Iterator[Progress]:
    """The line, for as long as the run takes."""
    with output.live_line() as draw:
        yield Progress(draw, config.duration_s + config.warm_up_s)


def shown(result: Result, earlier: Mapping[str, Any] | None, *, as_json: bool) -> None:
    """Print the result, and how it compares to an earlier one."""
    document = result.as_dict()
    verdict = None
    if earlier is not None and not result.is_interrupted:
        try:
            verdict = compare(document, earlier)
        except InputError as problem:  # the run itself is told of all the same
            output.progress(f"Not compared: {problem}")
    if as_json:
        output.document({**document, "comparison": verdict and verdict.as_dict()})
        return
    output.result("\n".join(_lines(result)))
    if verdict is not None:
        output.result(f"{'compared':12}{verdict}")


def _lines(result: Result) -> Iterator[str]:
    config = result.config
    loader = "" if config.loader == "frames" else f", by grpcio ({config.why_grpcio})"
    place = "a server of our own" if config.is_own_server else config.target
    yield f"{config.method} at {place}: {_load(config)}, {result.seconds:.1f} s{loader}"
    yield f"{'rate':12}{result.rate:,.1f} calls/s{_range(result)}"
    if config.payments_per_call > 1:
        yield f"{'payments':12}{result.rate * config.payments_per_call:,.1f} a second"
    for name, value in result.latency_ms().items():
        yield f"{name:12}{'-' if value is None else f'{value:,.3f} ms'}"
    for status, count in sorted(result.statuses.items(), key=lambda each: -each[1]):
        yield f"{status:<20}{count:,}"
    if result.baseline is not None:
        yield from _floor(result.baseline)
    for each in result.growth:
        p99 = "-" if each.p99_ms is None else f"{each.p99_ms:,.1f} ms"
        yield f"{each.stored:>11,} stored: {each.rate:,.1f} calls/s, {each.ratio:.2f} of the first, p99 {p99}"
    if (used := result.machine.get("service_processors")) is not None:
        shares = sum(result.generators.cpu_shares)
        yield f"{'processors':12}{used:.2f} by the service, {shares:.2f} by the generators"
    if result.generators.is_limit:
        yield f"Limit: {result.generators.why}."


def _range(result: Result) -> str:
    rates = [each.rate for each in result.slices]
    return f" (slices {min(rates):,.0f} to {max(rates):,.0f})" if rates else ""


def _floor(baseline: Baseline) -> Iterator[str]:
    yield f"{'of an echo':12}{_ratio(baseline.rate_to_echo)} of {baseline.echo_rate.median:,.0f} calls/s"
    yield f"{'of fsync':12}{_ratio(baseline.rate_to_fsync)} of {baseline.fsync_rate.median:,.0f} fsyncs/s"


def _ratio(spread: Spread) -> str:
    return f"{spread.median:.3f} ({spread.min:.3f} to {spread.max:.3f})"
