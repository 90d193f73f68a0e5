"""The life of a server: bind, say ready, serve until told to stop, drain, let go."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from grpc_health.v1 import health_pb2_grpc

from paycli.host import health, reflection
from paycli.host.app import App, OpenApp
from paycli.host.calls_in_flight import CallsInFlight
from paycli.host.errors_to_statuses import errors_to_statuses
from paycli.host.hosting.sync_methods import in_threads
from paycli.host.hosting.threads import Threads
from paycli.host.interceptors import Interceptor, Interceptors
from paycli.host.processes.last_resort import LastResort
from paycli.host.processes.port_file import forget_port, port_file
from paycli.host.processes.systemd import BOUND, notify
from paycli.host.protection.admission import admitted
from paycli.host.transport import grpc_transport
from paycli.host.transport.server import NO_LIMITS, Limits, MakeServer, Server

if TYPE_CHECKING:
    from paycli.host.transport.tls import TlsFiles

# What the last answers and last words get to leave, once no call is in flight any more.
_GOODBYE_S: Final = 1.0
_FOR_FRONT: Final = "127.0.0.1"
_PATIENCE: Final = 2  # signals

_log = logging.getLogger(__name__)


class Options(NamedTuple):
    """Where to listen, whom to let in, and how to stop.

    `threads` are for methods that are not async; `tokens` is a file of them, without which all that
    reaches the server may call it; more than `calls_max` calls, or streams, at once are refused, and more
    than `peer_connections_max` connections of one peer are closed; with `reuse_port` others that do
    so listen there, too; `outermost` stand around all calls, refused ones among them, `interceptors`
    around those of the app. Without `standard_services` health and reflection are the app's own matter.
    A `last_resort` is armed at the stop.

    A `front` has host and port instead of the server, which listens on a port of its own for it alone.
    """

    host: str
    port: int
    port_file: Path | None
    drain_timeout_s: float
    make_server: MakeServer = grpc_transport.make_server
    threads: int = 10
    tls: TlsFiles | None = None
    tokens: Path | None = None
    limits: Limits = NO_LIMITS
    calls_max: int = 1000
    peer_connections_max: int | None = None
    channelz: bool = False
    reuse_port: bool = False
    outermost: Sequence[Interceptor] = ()
    interceptors: Sequence[Interceptor] = ()
    front: Front | None = None
    standard_services: bool = True
    last_resort: LastResort | None = None


# From the address of the server to those that others call.
Front = Callable[[str], AbstractAsyncContextManager[Sequence[str]]]
OnReady = Callable[[Sequence[str], Sequence[str]], None]  # addresses, names of services


async def serve(options: Options, open_app: OpenApp, on_ready: OnReady) -> None:
    """Serve an app until SIGTERM, SIGINT or SIGHUP; returns after the drain. Raises StartError, InputError.

    The app is opened once the addresses are ours, and closed when nothing is served any more.
    """
    resort = options.last_resort
    stop = _stop_signals(resort)  # first, so that a stop during the start is as clean as any
    interceptors, calls = Interceptors(), CallsInFlight()
    interceptors.add((*options.outermost, calls, admitted(calls, options.calls_max)))
    interceptors.add((*_guards(options), errors_to_statuses))
    server = options.make_server(
        interceptors,
        options.limits,
        channelz=options.channelz,
        reuse_port=options.reuse_port,
    )
    bound = _bind(server, options)
    if options.reuse_port:
        from paycli.host.processes.retirement import retire_on_signal  # start-up time: of workers

        notify(BOUND)
        retire_on_signal(int(bound[0].rpartition(":")[2]), options.limits.age_s, stop)
    forget_port(options.port_file)
    control = _Control(stop, options.drain_timeout_s)
    async with _fronted(options, bound) as addresses, open_app(control) as app:
        try:
            interceptors.add(
                (*options.interceptors, *app.interceptors, in_threads(Threads(options.threads)))
            )
            _add_services(server, app, control.health, options)
            names = [service.name for service in app.services]
            await control.health.begin(names)
            await server.start()
            if resort is not None:
                resort.drain_s = options.drain_timeout_s
            with port_file(options.port_file, addresses):
                on_ready(addresses, names)
                notify("READY=1", f"STATUS=Listening on {' and '.join(addresses)}")
                async with _each_peer_within(options, addresses):
                    await stop.wait()
            stop.clear()
            if resort is not None:  # not every stop is a signal
                resort.arm()
            notify("STOPPING=1")
            app.drain()
            await control.health.drain()
            await _drain(server, calls, options.drain_timeout_s, stop)
        finally:
            await server.stop(0)  # at once after a drain; a start that failed has none


def _bind(server: Server, options: Options) -> list[str]:
    if options.front is not None:
        return server.bind(_FOR_FRONT, 0, options.tls)
    return server.bind(options.host, options.port, options.tls)


@asynccontextmanager
async def _fronted(options: Options, bound: Sequence[str]) -> AsyncIterator[Sequence[str]]:
    """The addresses that others call."""
    if options.front is None:
        yield bound
    else:
        async with options.front(bound[0]) as addresses:
            yield addresses


def _each_peer_within(
    options: Options, addresses: Sequence[str]
) -> AbstractAsyncContextManager[None]:
    """The limit of connections that one peer may have."""
    if options.peer_connections_max is None:
        return nullcontext()
    from paycli.host.protection.peer_connections import peer_connections

    port = int(addresses[0].rpartition(":")[2])
    return peer_connections(port, options.peer_connections_max)


def _guards(options: Options) -> list[Interceptor]:
    if options.tokens is None:
        return []
    # start-up time: most servers on a laptop have none
    from paycli.host.protection.authorization import authorized
    from paycli.host.protection.tokens import Tokens

    return [authorized(Tokens(options.tokens))]


class _Control:
    """A `host.app.Control`."""

    def __init__(self, stop: asyncio.Event, notice_s: float) -> None:
        self.health = health.HealthServicer()
        self._stop = stop
        self._notice_s = notice_s
        self._telling: set[asyncio.Future[None]] = set()

    def report(self, *, serving: bool) -> None:
        """See `host.app.Control.report`."""
        status = health.SERVING if serving else health.NOT_SERVING
        self._telling.add(telling := asyncio.ensure_future(self.health.report(status)))
        telling.add_done_callback(self._telling.discard)

    def give_up(self) -> None:
        """See `host.app.Control.give_up`."""
        self.report(serving=False)
        asyncio.get_running_loop().call_later(self._notice_s, self._stop.set)


def _add_services(
    server: Server, app: App, health_servicer: health.HealthServicer, options: Options
) -> None:
    names = [health.NAME]
    for service in app.services:
        server.add(service.add_to)
        names.append(service.name)
    if not options.standard_services:
        return
    server.add(partial(health_pb2_grpc.add_HealthServicer_to_server, health_servicer))
    if options.channelz:
        from paycli.host import channelz  # an extra

        server.add(channelz.add_to)
        names.append(channelz.NAME)
    server.add(partial(reflection.add_to, services=names))


async def _drain(
    server: Server, calls: CallsInFlight, timeout_s: float, stop: asyncio.Event
) -> None:
    """Finish what is in flight, within the limit; another signal ends the wait.

    The server's own wait is for connections, also for those that never said a word.
    """
    _log.info("draining: waiting up to %g s for %d calls in flight", timeout_s, calls.awaited)
    stopped = asyncio.ensure_future(server.stop(timeout_s))
    ends = {stopped, asyncio.ensure_future(stop.wait()), asyncio.ensure_future(_quiet(calls))}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends - {stopped}:
        end.cancel()
    if not stopped.done():
        await server.stop(0)
    await stopped


async def _quiet(calls: CallsInFlight) -> None:
    """Wait until no call is in flight and the answers are on their way."""
    while True:
        await calls.none()
        await asyncio.sleep(_GOODBYE_S)
        if not calls.awaited:
            return


def _stop_signals(resort: LastResort | None) -> asyncio.Event:
    """The first signal stops, the second hurries, the third ends whatever hangs by then."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    heard = itertools.count(1)

    def hear(number: int, _: object) -> None:
        if next(heard) > _PATIENCE:
            os._exit(128 + number)
        if resort is not None:
            resort.arm()

    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup wants it
        numbers.append(signal.SIGHUP)
    for each in numbers:
        loop.add_signal_handler(each, stop.set)  # which wakes the loop, whoever hears it first
        signal.signal(each, hear)
        signal.siginterrupt(each, False)
    return stop
