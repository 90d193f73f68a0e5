"""Whether a service slows down as its store grows: the same load at 1, 10 and 100 times the payments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import grpc

from paycli.errors import RemoteError
from paycli.generated.paycli.payments.v1 import payments_pb2
from paycli.load.methods import BATCH, batch_of
from paycli.load.plan import Plan
from paycli.load.result import Config, Growth, Result
from paycli.load.run import Run
from paycli.load.templates import Template

_BATCH = 500
_TIMES = (1, 10, 100)


def grown(
    channel: grpc.Channel,
    plan: Plan,
    config: Config,
    run: Run,
    first: int,
    tell: Callable[[int], None],
) -> Result:
    """The load at each size; `first` payments are stored for the first. The last one's result has all.

    `tell` is told how many payments are stored. Raises RemoteError.
    """
    stored, steps = 0, list[Growth]()
    result: Result | None = None
    for times in _TIMES:
        stored += _fill(channel, first * times, stored, run, tell)
        if run.stop.is_set() and result is not None:
            break
        result = run(plan, config)
        first_rate = steps[0].rate if steps else result.rate
        ratio = result.rate / first_rate if first_rate else 0.0
        steps.append(Growth(stored, result.rate, result.latency_ms()["p99"], ratio))
        stored += result.ok
        if result.is_interrupted:
            break
    assert result is not None
    return replace(result, growth=steps)


def _fill(
    channel: grpc.Channel, wanted: int, stored: int, run: Run, tell: Callable[[int], None]
) -> int:
    """Store payments under random keys until there are so many; how many it stored."""
    kind = payments_pb2.DESCRIPTOR.message_types_by_name["BatchCreatePaymentsRequest"]
    whole = Template(kind, kind.file.pool, [batch_of(_BATCH)], count(1))
    call: Any = channel.unary_unary(f"/{BATCH}")
    done = 0
    while (rest := min(_BATCH, wanted - stored - done)) > 0 and not run.stop.is_set():
        made = (
            whole if rest == _BATCH else Template(kind, kind.file.pool, [batch_of(rest)], count(1))
        )
        try:
            call(made()[0], timeout=60)
        except grpc.RpcError as problem:
            said = f"The store could not be filled: {problem.details()}."
            raise RemoteError(said, status=problem.code().name) from problem
        done += rest
        tell(stored + done)
    return done
