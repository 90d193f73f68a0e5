"""Durable ProcessPayment against the same call on a bare grpc.aio echo servicer.

Client and server share the machine, so besides the rate, which both sides limit, the server's own
processor time per call is reported, which does not depend on the client.
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

import grpc

from paycli.generated import payment_pb2, payment_pb2_grpc
from tests.bench import ids
from tests.processes import cpu_s

IN_FLIGHT = 64
CHANNELS = 4
ROUNDS = 9
ROUND_S = 3.0

ECHO_SERVER = """
import asyncio, sys, uvloop
import grpc
from paycli.generated import payment_pb2, payment_pb2_grpc


class Echo(payment_pb2_grpc.PaymentServiceServicer):
    async def ProcessPayment(self, request, context):
        return payment_pb2.PaymentResponse(payment_id=request.order_id, status="SUCCESS")


async def main():
    server = grpc.aio.server()
    payment_pb2_grpc.add_PaymentServiceServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


uvloop.run(main())
"""


class Load(NamedTuple):
    """What one round of load saw."""

    rate: float
    p50_ms: float
    p99_ms: float
    server_cpu_us: float


class Comparison(NamedTuple):
    """Medians over the rounds of subject and baseline, and of their ratios in each round."""

    subject: Load
    baseline: Load
    rate_ratio: float
    p99_ratio: float


@contextmanager
def echo_server() -> Iterator[tuple[str, int]]:
    """The baseline: target and process id."""
    process = subprocess.Popen([sys.executable, "-c", ECHO_SERVER], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield f"127.0.0.1:{int(process.stdout.readline())}", process.pid
    finally:
        process.kill()
        process.communicate()


def compare(target: str, pid: int, kind: str) -> Comparison:
    """The server against the echo."""
    with echo_server() as echo:
        return alternate((target, pid), echo, kind)


def alternate(subject: tuple[str, int], baseline: tuple[str, int], kind: str) -> Comparison:
    """Rounds on two servers (target and process id) in turn; the first of each is thrown away."""
    rounds = [(one_round(*subject, kind), one_round(*baseline, kind)) for _ in range(ROUNDS + 1)]
    pairs = rounds[1:]
    return Comparison(
        _medians([subject for subject, _ in pairs]),
        _medians([baseline for _, baseline in pairs]),
        median(subject.rate / baseline.rate for subject, baseline in pairs),
        median(subject.p99_ms / baseline.p99_ms for subject, baseline in pairs),
    )


def one_round(target: str, pid: int, kind: str) -> Load:
    """One round of load, with ids of this kind, on the server with this process id."""
    cpu_before = cpu_s(pid)
    latencies, elapsed_s = asyncio.run(_load(target, ids.KINDS[kind]()))
    calls = len(latencies)
    latencies.sort()
    return Load(
        calls / elapsed_s,
        latencies[calls // 2] * 1000,
        latencies[calls * 99 // 100] * 1000,
        (cpu_s(pid) - cpu_before) / calls * 1e6,
    )


async def _load(target: str, new_id: ids.NewId) -> tuple[list[float], float]:
    """Each call with an order id and, in the metadata, an idempotency key."""
    latencies: list[float] = []
    numbers = itertools.count()
    options = (("grpc.use_local_subchannel_pool", 1),)
    channels = [grpc.aio.insecure_channel(target, options=options) for _ in range(CHANNELS)]
    deadline = time.perf_counter() + ROUND_S

    async def worker(number: int) -> None:
        stub = payment_pb2_grpc.PaymentServiceStub(channels[number % CHANNELS])
        while (started := time.perf_counter()) < deadline:
            order_id, key = new_id(count := next(numbers)), new_id(count)
            request = payment_pb2.PaymentRequest(
                order_id=order_id, amount=12.34, currency="EUR", user_id="ada"
            )
            response = await stub.ProcessPayment(request, metadata=(("idempotency-key", key),))
            assert response.status == "SUCCESS"
            latencies.append(time.perf_counter() - started)

    started = time.perf_counter()
    await asyncio.gather(*(worker(number) for number in range(IN_FLIGHT)))
    elapsed_s = time.perf_counter() - started
    for channel in channels:
        await channel.close()
    return latencies, elapsed_s


def _medians(loads: list[Load]) -> Load:
    return Load(*(median(values) for values in zip(*loads, strict=True)))
