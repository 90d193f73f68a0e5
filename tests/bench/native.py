"""The native transport against a bare echo on grpc.aio, by a load that is not the limit."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.hosted import serving, write_servicers
from tests.bench.overload import payments_a_second
from tests.bench.unary import echo_server

ROUNDS = 5
ROUND_S = 2.0
_NATIVE = ("--transport", "native")


class Rates(NamedTuple):
    """Medians of answers a second: a servicer that does nothing, payments, and the echo."""

    no_op: float
    paid: float
    echo: float
    no_op_ratio: float
    paid_ratio: float


def measure(folder: Path, in_flight: int) -> Rates:
    """All three in turn, for so many callers; the first round is thrown away."""
    write_servicers(folder)
    with ExitStack() as stack:
        no_op, _ = stack.enter_context(serving(folder, "servicers:Async", *_NATIVE))
        payments = ("--store", f"sqlite:///{folder / 'store.db'}")
        paid, _ = stack.enter_context(serving(folder, *payments, *_NATIVE))
        echo, _ = stack.enter_context(echo_server())
        rounds = [
            [_rate(target, in_flight) for target in (no_op, paid, echo)] for _ in range(ROUNDS + 1)
        ][1:]
    no_ops, paids, echoes = (median(rates) for rates in zip(*rounds, strict=True))
    return Rates(
        no_ops,
        paids,
        echoes,
        median(one / base for one, _, base in rounds),
        median(one / base for _, one, base in rounds),
    )


def _rate(target: str, in_flight: int) -> float:
    return asyncio.run(payments_a_second(target, in_flight, ROUND_S))
