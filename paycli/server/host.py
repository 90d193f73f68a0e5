"""The life of a server: bind, say ready, serve until told to stop, drain, let go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2_grpc

from paycli.errors import StartError, StoreError
from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.generated.paycli.payments.v1 import payments_pb2, payments_pb2_grpc
from paycli.payments.store import Health, OnHealth, Store
from paycli.server import health, reflection
from paycli.server.engine import Engine
from paycli.server.interceptors import CallGuard
from paycli.server.payments_servicer import PaymentsServicer
from paycli.server.seed_servicer import SeedServicer
from paycli.server.simulator import Simulator
from paycli.server.transport import bind, make_server
from paycli.server.upkeep import upkeep

_SEED: Final = payment_pb2.DESCRIPTOR.services_by_name["PaymentService"].full_name
_PAYMENTS: Final = payments_pb2.DESCRIPTOR.services_by_name["Payments"].full_name
# What the last answers and last words get to leave, once no call is in flight any more.
_GOODBYE_S: Final = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """Where to listen, how to stop, and how long things may take."""

    host: str
    port: int
    port_file: Path | None
    drain_timeout_s: float
    authorization_ttl_s: float
    processor_timeout_s: float


async def serve(
    options: Options,
    open_store: Callable[[OnHealth], Store],
    on_ready: Callable[[Sequence[str]], None],
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; returns after the drain. Raises StartError.

    While the store takes no writes the server answers NOT_SERVING to health checks and UNAVAILABLE
    to payments, so that nothing is promised that is not kept. When the store is broken it does so
    for the drain timeout, for all to notice, and ends with a StoreError, for a restart.
    """
    stop = _stop_signals()  # first, so that a stop during the start is as clean as any
    calls = CallGuard()
    server = make_server(calls)
    addresses = bind(server, options.host, options.port)
    _forget_port(options.port_file)
    health_servicer = health.HealthServicer((_SEED, _PAYMENTS))
    tasks = set()
    broken = False

    def store_is(store_health: Health) -> None:
        nonlocal broken
        status = health.SERVING if store_health is Health.SERVING else health.NOT_SERVING
        tasks.add(asyncio.ensure_future(health_servicer.report(status)))
        if store_health is Health.BROKEN:
            broken = True
            asyncio.get_running_loop().call_later(options.drain_timeout_s, stop.set)

    store = open_store(store_is)
    engine = Engine(
        store,
        Simulator(),
        authorization_ttl_s=options.authorization_ttl_s,
        processor_timeout_s=options.processor_timeout_s,
    )
    payments = PaymentsServicer(engine, store)
    try:
        payment_pb2_grpc.add_PaymentServiceServicer_to_server(SeedServicer(engine), server)
        payments_pb2_grpc.add_PaymentsServicer_to_server(payments, server)
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
        reflection.add_to(server, (_SEED, _PAYMENTS, health.NAME))
        await health_servicer.report(health.SERVING)
        await server.start()
        async with upkeep(store, engine):
            with _port_file(options.port_file, addresses):
                on_ready(addresses)
                await stop.wait()
            stop.clear()
            payments.drain()
            await health_servicer.drain()
            await _drain(server, calls, options.drain_timeout_s, stop)
    finally:
        await server.stop(0)  # at once after a drain; a start that failed has none
        await engine.close()
        await store.close()
    if broken:
        raise StoreError("The store failed, as said above; start the server again.")


async def _drain(
    server: grpc.aio.Server, calls: CallGuard, timeout_s: float, stop: asyncio.Event
) -> None:
    """Finish what is in flight, within the limit; another signal ends the wait.

    The server's own wait is for connections, also for those that never said a word.
    """
    _log.info("draining: waiting up to %g s for %d calls in flight", timeout_s, calls.in_flight)
    stopped = asyncio.ensure_future(server.stop(timeout_s))
    ends = {stopped, asyncio.ensure_future(stop.wait()), asyncio.ensure_future(_quiet(calls))}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends - {stopped}:
        end.cancel()
    if not stopped.done():
        await server.stop(0)
    await stopped


async def _quiet(calls: CallGuard) -> None:
    """Wait until no call is in flight and the answers are on their way."""
    while True:
        await calls.idle()
        await asyncio.sleep(_GOODBYE_S)
        if not calls.in_flight:
            return


def _stop_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup wants it
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    return stop


def _forget_port(path: Path | None) -> None:
    """Remove the port of a server that is gone, so that whoever waits for ours does not find it."""
    if path is not None:
        try:
            path.unlink(missing_ok=True)
        except OSError as problem:
            raise _no_port_file(path, problem) from problem


@contextlib.contextmanager
def _port_file(path: Path | None, addresses: Sequence[str]) -> Iterator[None]:
    """The port in a file while the server takes calls, for whoever started it."""
    if path is None:
        yield
        return
    port = addresses[0].rpartition(":")[2] + "\n"
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(port, encoding="ascii")
        partial.replace(path)  # a reader never sees half a number
    except OSError as problem:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise _no_port_file(path, problem) from problem
    try:
        yield
    finally:
        try:
            if path.read_text(encoding="ascii") == port:  # not that of a later server
                path.unlink()
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as problem:
            _log.warning("the port file %s could not be removed: %s", path, problem)


def _no_port_file(path: Path, problem: OSError) -> StartError:
    return StartError(f"Cannot write the port file {path}: {problem.strerror}.")
