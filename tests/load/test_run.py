"""Runs against a server whose answers are known."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from paycli.client.access import ANYHOW
from paycli.errors import Unreachable
from paycli.generated import payment_pb2
from paycli.load.methods import ONE
from paycli.load.plan import plan_of
from paycli.load.result import Config, Result
from paycli.load.run import Run
from paycli.scenarios.own_server import own_server
from tests.load.results import CONFIG

METHOD = payment_pb2.DESCRIPTOR.services_by_name["PaymentService"].methods_by_name["ProcessPayment"]
LONG_MS = 100


@contextmanager
def serving(answer: Callable[[bytes, Any], bytes]) -> Iterator[str]:
    """The target of a server that answers one call after another."""
    handler: Any = grpc.unary_unary_rpc_method_handler(answer)
    server = grpc.server(ThreadPoolExecutor(1))
    generic = grpc.method_handlers_generic_handler(
        "payment.PaymentService", {"ProcessPayment": handler}
    )
    server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def run(target: str, loader: str = "frames", **changes: Any) -> Result:
    config: Config = replace(CONFIG, target=target, duration_s=1.5, **changes)
    plan = plan_of(ANYHOW, METHOD, [ONE], loader, config.timeout_s)
    return Run(threading.Event(), lambda *_: None)(plan, config)


class Stalling:
    """Answers at once, but for one call that holds up all that come after it."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, request: bytes, context: Any) -> bytes:
        self.calls += 1
        if self.calls == 40:
            time.sleep(0.6)
        return b""


def long_ones(result: Result) -> int:
    return sum(count for most, count in result.latencies.buckets() if most >= LONG_MS * 1000)


@pytest.mark.parametrize("loader", ["frames", "grpcio"])
def test_only_the_open_loop_sees_who_waits_in_a_stall(loader: str) -> None:
    with serving(Stalling()) as target:
        opened = run(target, loader, concurrency=None, rate=100.0)
    with serving(Stalling()) as target:
        closed = run(target, loader, concurrency=1)
    # 60 were due while it stood still, 50 of them more than 100 ms before its end.
    assert long_ones(opened) >= 40
    assert long_ones(closed) < 20
    p99 = opened.latency_ms()["p99"]
    assert p99 is not None
    assert p99 > LONG_MS


STUTTERING = """
import asyncio, time
from paycli.generated import payment_pb2, payment_pb2_grpc

class Stuttering(payment_pb2_grpc.PaymentServiceServicer):
    stutter = None

    async def ProcessPayment(self, request, context):
        self.stutter = self.stutter or asyncio.create_task(stand_still())
        return payment_pb2.PaymentResponse()

async def stand_still():
    while True:
        await asyncio.sleep(0.9)
        time.sleep(0.1)
"""


def test_p99_shows_a_servicer_that_blocks_its_event_loop_in_the_open_loop_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stuttering.py").write_text(STUTTERING, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with own_server(servicers=["stuttering:Stuttering"]) as server:
        opened = run(server.target, concurrency=None, rate=100.0).latency_ms()["p99"]
        closed = run(server.target, concurrency=1).latency_ms()["p99"]
    assert opened is not None
    assert closed is not None
    assert closed < LONG_MS / 2 < opened


def test_errors_count_by_status_and_have_no_latency() -> None:
    calls = iter(range(10**9))

    def answer(_request: bytes, context: Any) -> bytes:
        if next(calls) % 3 == 0:
            context.abort(grpc.StatusCode.ABORTED, "every third")
        return b"1"

    with serving(answer) as target:
        result = run(target, concurrency=2)
    assert result.statuses.keys() == {"OK", "ABORTED"}
    assert result.latencies.total == result.ok > 0
    assert result.errors == result.statuses["ABORTED"] > 0
    assert sum(each.errors for each in result.slices) > 0


def test_calls_without_an_answer_end_by_their_deadline() -> None:
    held = threading.Event()

    def answer(_request: bytes, _context: Any) -> bytes:
        held.wait()
        return b""

    with serving(answer) as target:
        result = run(target, concurrency=2, timeout_s=0.4)
        held.set()
    assert result.statuses.keys() == {"DEADLINE_EXCEEDED"}
    assert result.latency_ms()["p99"] is None


def test_several_processes_send_what_one_would() -> None:
    orders = []

    def answer(request: bytes, _context: Any) -> bytes:
        orders.append(payment_pb2.PaymentRequest.FromString(request).order_id)
        return b""

    with serving(answer) as target:
        result = run(target, concurrency=None, rate=100.0, processes=3)
    assert len(result.generators.cpu_shares) == 3
    assert result.calls == result.ok == result.latencies.total == len(orders) == len(set(orders))
    assert abs(result.calls - 150) <= 3  # each of three begins in its own part of an interval
    assert [each.at_s for each in result.slices] == pytest.approx([0, 0.3, 0.6, 0.9, 1.2])


def test_nobody_there_is_told_of() -> None:
    with serving(Stalling()) as target:
        pass
    with pytest.raises(Unreachable, match=target):
        run(target, concurrency=1)
