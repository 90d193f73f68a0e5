"""Four times what the server can do, from callers that do not wait for answers.

The peak is what it does for 64 callers in flight. Calls come by the clock (an open loop), have a deadline
of a second, and count only when they were answered well within it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from paycli.generated import payment_pb2
from paycli.load.frames import Answer, connected
from tests.bench import ids
from tests.bench.frames import answers_a_second

TIMES = 4
DEADLINE_S = 1.0
CONNECTIONS = 40
ROUNDS = 5
ROUND_S = 4.0
IN_FLIGHT = 64

_PATH = "/payment.PaymentService/ProcessPayment"
_TICK_S = 0.002
_REFUSED = {8: "RESOURCE_EXHAUSTED", 1: "CANCELLED", 4: "DEADLINE_EXCEEDED"}


class Overload(NamedTuple):
    """Rates a second, medians in milliseconds; `refusals` are shares of what was offered."""

    peak: float
    goodput: float
    ratio: float
    answer_ms: float
    refusal_ms: float
    refusals: dict[str, float]


def measure(target: str) -> Overload:
    """Peak and overload in turn."""
    rounds = []
    for _ in range(ROUNDS):
        peak = asyncio.run(payments_a_second(target, IN_FLIGHT, ROUND_S))
        rounds.append((peak, *asyncio.run(_overload(target, TIMES * peak))))
    peaks, answers, refusals, statuses = zip(*rounds, strict=True)
    goodput = [len(each) / ROUND_S for each in answers]
    total = sum(map(Counter.total, statuses))
    return Overload(
        median(peaks),
        median(goodput),
        median(good / peak for good, peak in zip(goodput, peaks, strict=True)),
        median(itertools.chain(*answers)) * 1000,
        median(itertools.chain(*refusals)) * 1000,
        {name: sum(each[code] for each in statuses) / total for code, name in _REFUSED.items()},
    )


async def _overload(target: str, rate: float) -> tuple[list[float], list[float], Counter[int]]:
    """Seconds of the good answers and of all other ends, and how often each status came."""
    loop, new_message = asyncio.get_running_loop(), _new_messages()
    good: list[float] = []
    others: list[float] = []
    statuses: Counter[int] = Counter()

    def on_answer(answer: Answer) -> None:
        statuses[answer.status] += 1
        (good if answer.status == 0 else others).append(answer.seconds)

    connections = [
        await connected(target, _PATH, on_answer, DEADLINE_S) for _ in range(CONNECTIONS)
    ]
    begin, sent = loop.time(), 0
    while (now := loop.time() - begin) < ROUND_S:
        while sent < int(now * rate):
            connections[sent % CONNECTIONS].call(new_message(), begin + sent / rate)
            sent += 1
        for each in connections:
            each.flush()
            each.give_up()
        await asyncio.sleep(_TICK_S)
    in_time = [seconds for seconds in good if seconds <= DEADLINE_S]
    for each in connections:
        each.transport.close()
    await asyncio.sleep(DEADLINE_S)  # the next round finds nothing of this one
    return in_time, others, statuses


async def payments_a_second(target: str, in_flight: int, seconds: float) -> float:
    """See `frames.answers_a_second`; each answer is a success, and of a payment of its own."""
    paid: set[str] = set()

    def is_right(body: bytes) -> bool:
        answer = payment_pb2.PaymentResponse.FromString(body)
        is_new = answer.payment_id not in paid
        paid.add(answer.payment_id)
        return is_new and answer.status == "SUCCESS"

    return await answers_a_second(target, _PATH, in_flight, seconds, _new_messages(), is_right)


def _new_messages() -> Callable[[], bytes]:
    new_id, numbers = ids.random(), itertools.count()

    def new_message() -> bytes:
        return payment_pb2.PaymentRequest(
            order_id=new_id(next(numbers)), amount=12.34, currency="EUR", user_id="ada"
        ).SerializeToString()

    return new_message
