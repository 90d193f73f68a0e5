"""Results without a run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from paycli.load.floor import Processors, machine
from paycli.load.histogram import Histogram
from paycli.load.result import Baseline, Config, Generators, Result, Slice, Spread

CONFIG = Config(
    target="localhost:1",
    is_own_server=True,
    method="payment.PaymentService/ProcessPayment",
    concurrency=16,
    rate=None,
    duration_s=5,
    warm_up_s=0,
    processes=1,
    timeout_s=10,
    payments_per_call=1,
    loader="frames",
    why_grpcio="",
)


def result_of(
    rates: Sequence[float],
    *,
    latencies_ms: Sequence[float] = (),
    statuses: dict[str, int] | None = None,
    config: Config = CONFIG,
    echoes: Sequence[float] = (),
) -> Result:
    """A run with these rates in its slices."""
    latencies = Histogram()
    for each in latencies_ms:
        latencies.add(round(each * 1000))
    slices = [
        Slice(n, 1.0, round(rate), 0, rate, 1000 / rate, 2000 / rate, echo, echo)
        for n, (rate, echo) in enumerate(
            zip(rates, echoes or repeat(None, len(rates)), strict=True)
        )
    ]
    spread = Spread(1, 1, 1)
    return Result(
        config,
        "2026-01-01T00:00:00+00:00",
        len(rates),
        False,
        statuses or {"OK": 100},
        sum(rates) / max(1, len(rates)),
        latencies,
        slices,
        Generators([0.1], None, False, ""),
        machine(Processors()),
        Baseline(spread, spread, spread, spread) if echoes else None,
    )
