"""`paycli serve MODULE:SERVICER` against the same servicer in a hand-written main().

The baselines are what every project writes: grpc.aio on uvloop, and grpc.server with ten threads. The
servicers do nothing, so all that is measured is the host.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.processes import as_installed
from tests.bench.unary import Comparison, alternate

_STARTS = 11

_SERVICERS = """
from paycli.generated import payment_pb2, payment_pb2_grpc


class Async(payment_pb2_grpc.PaymentServiceServicer):
    async def ProcessPayment(self, request, context):
        return payment_pb2.PaymentResponse(payment_id=request.order_id, status="SUCCESS")


class Sync(payment_pb2_grpc.PaymentServiceServicer):
    def ProcessPayment(self, request, context):
        return payment_pb2.PaymentResponse(payment_id=request.order_id, status="SUCCESS")
"""
_MAINS = {
    "Async": """
import asyncio, uvloop, grpc, servicers
from paycli.generated import payment_pb2_grpc

async def main():
    server = grpc.aio.server()
    payment_pb2_grpc.add_PaymentServiceServicer_to_server(servicers.Async(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()

uvloop.run(main())
""",
    "Sync": """
from concurrent import futures
import grpc, servicers
from paycli.generated import payment_pb2_grpc

server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
payment_pb2_grpc.add_PaymentServiceServicer_to_server(servicers.Sync(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
""",
}


class Hosted(NamedTuple):
    """What the host costs: rates and starts of it and of the hand-written main."""

    load: Comparison
    start_s: float
    baseline_start_s: float
    start_ratio: float


def compare(folder: Path, kind: str) -> Hosted:
    """With the `Async` or the `Sync` servicer."""
    write_servicers(folder)
    (folder / "main.py").write_text(_MAINS[kind], encoding="utf-8")
    with serving(folder, f"servicers:{kind}") as ours, _plain(folder) as plain:
        load = alternate(ours, plain, "sequential")
    starts = [
        (_start_s(serving(folder, f"servicers:{kind}")), _start_s(_plain(folder)))
        for _ in range(_STARTS)
    ][1:]
    return Hosted(
        load,
        median(ours for ours, _ in starts),
        median(plain for _, plain in starts),
        median(ours / plain for ours, plain in starts),
    )


def write_servicers(folder: Path) -> None:
    """The module `servicers`, with `Async` and `Sync`, that do nothing."""
    (folder / "servicers.py").write_text(_SERVICERS, encoding="utf-8")


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[tuple[str, int]]:
    """`paycli serve` in this folder with these arguments: target and process id."""
    port_file = folder / f"port{len(list(folder.glob('port*')))}"
    line = [sys.executable, "-m", "paycli", "serve", *arguments, "--port", "0"]
    with _started([*line, "--port-file", str(port_file)], folder) as (_, pid):
        yield f"127.0.0.1:{port_file.read_text(encoding='ascii').strip()}", pid


@contextmanager
def _plain(folder: Path) -> Iterator[tuple[str, int]]:
    with _started([sys.executable, "main.py"], folder) as (printed, pid):
        yield f"127.0.0.1:{printed}", pid


@contextmanager
def _started(line: list[str], folder: Path) -> Iterator[tuple[str, int]]:
    """A server that has said its first word, and its process id."""
    with subprocess.Popen(
        line,
        cwd=folder,
        env=as_installed(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.kill()


def _start_s(server: AbstractContextManager[object]) -> float:
    started = time.perf_counter()
    with server:
        return time.perf_counter() - started
