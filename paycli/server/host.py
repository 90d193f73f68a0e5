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
from grpc_reflection.v1alpha import reflection

from paycli.errors import StartError, StoreError
from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.generated.paycli.payments.v1 import payments_pb2, payments_pb2_grpc
from paycli.payments.store import Health, OnHealth, Store
from paycli.server import health
from paycli.server.engine import Engine
from paycli.server.payments_servicer import PaymentsServicer
from paycli.server.seed_servicer import SeedServicer
from paycli.server.simulator import Simulator
from paycli.server.transport import bind, make_server
from paycli.server.upkeep import upkeep

_SEED: Final = payment_pb2.DESCRIPTOR.services_by_name["PaymentService"].full_name
_PAYMENTS: Final = payments_pb2.DESCRIPTOR.services_by_name["Payments"].full_name
_SERVICES: Final = (_SEED, _PAYMENTS, health.NAME, reflection.SERVICE_NAME)

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
    """Serve until SIGTERM or SIGINT; returns after the drain. Raises StartError.

    While the store takes no writes the server answers NOT_SERVING to health checks and UNAVAILABLE
    to payments, so that nothing is promised that is not kept. When the store is broken it does so
    for the drain timeout, for all to notice, and ends with a StoreError, for a restart.
    """
    stop = _stop_signals()  # first, so that a stop during the start is as clean as any
    server = make_server()
    addresses = bind(server, options.host, options.port)
    health_servicer = health.HealthServicer()
    tasks = set()
    broken = False

    async def report(status: health.ServingStatus) -> None:
        for service in ("", _SEED, _PAYMENTS):
            await health_servicer.set(service, status)

    def store_is(store_health: Health) -> None:
        nonlocal broken
        serves = store_health is Health.SERVING
        tasks.add(asyncio.ensure_future(report(health.SERVING if serves else health.NOT_SERVING)))
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
        reflection.enable_server_reflection(_SERVICES, server)
        await report(health.SERVING)
        await server.start()
        async with upkeep(store, engine):
            with _port_file(options.port_file, addresses):
                on_ready(addresses)
                await stop.wait()
                payments.drain()
                await _drain(server, health_servicer, options.drain_timeout_s, stop)
    finally:
        await server.stop(0)  # at once after a drain; a start that failed has none
        await engine.close()
        await store.close()
    if broken:
        raise StoreError("The store failed, as said above; start the server again.")


async def _drain(
    server: grpc.aio.Server,
    health_servicer: health.HealthServicer,
    timeout_s: float,
    stop: asyncio.Event,
) -> None:
    """Finish what is in flight, within the limit; a second signal ends the wait."""
    _log.info("draining: waiting up to %g s for calls in flight", timeout_s)
    stop.clear()
    await health_servicer.drain()
    drained = asyncio.ensure_future(server.stop(timeout_s))
    hurried = asyncio.ensure_future(stop.wait())
    await asyncio.wait((drained, hurried), return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if not drained.done():
        await server.stop(0)
    await drained


def _stop_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


@contextlib.contextmanager
def _port_file(path: Path | None, addresses: Sequence[str]) -> Iterator[None]:
    """The port in a file while the server takes calls, for whoever started it."""
    if path is None:
        yield
        return
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(addresses[0].rpartition(":")[2] + "\n", encoding="ascii")
        partial.replace(path)  # a reader never sees half a number
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise StartError(f"Cannot write the port file {path}: {problem.strerror}.") from problem
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
