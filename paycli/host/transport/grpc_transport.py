"""The transport of grpc.aio: the default, and the reference for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import grpc

from paycli.errors import StartError
from paycli.host.interceptors import Interceptors
from paycli.host.transport.file_descriptors import file_descriptors
from paycli.host.transport.ports import addresses_of, free_port, why_not, with_port
from paycli.host.transport.server import NO_LIMITS, PEER_OPTIONS, Limits, Server

if TYPE_CHECKING:
    from paycli.host.transport.tls import TlsFiles

_OTHER_FILES: Final = 128  # stores, logs, metrics: what must not fail for a crowd of connections
_OPTIONS: Final = (
    *PEER_OPTIONS,
    # It counts calls that are over until Python has forgotten them, and resets calls of a client that
    # keeps to the limit.
    ("grpc.http.overload_protection", 0),
    # Whoever connects and then says nothing, or too slowly, is gone after this.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.http2.settings_timeout", 10_000),
    # Load balancers ask clients to ping every 10 to 60 s, calls or not; grpc's own limit is 5 min,
    # and who pings more often loses its streams. Clocks differ, so the limit is well below 10 s.
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
)


def make_server(
    interceptors: Interceptors,
    limits: Limits = NO_LIMITS,
    *,
    channelz: bool = False,
    reuse_port: bool = False,
) -> Server:
    """See `server.MakeServer`."""
    connections = min(limits.connections, file_descriptors() - _OTHER_FILES)
    options = (*_OPTIONS, *_times(limits), ("grpc.enable_channelz", int(channelz)))
    options += (("grpc.max_allowed_incoming_connections", connections),)
    options += (("grpc.so_reuseport", int(reuse_port)),)
    options += (("grpc.max_receive_message_length", limits.message_bytes),)
    return _GrpcServer(grpc.aio.server(options=options), interceptors)


def _times(limits: Limits) -> tuple[tuple[str, int], ...]:
    given = {
        "grpc.max_connection_idle_ms": limits.idle_s,
        "grpc.max_connection_age_ms": limits.age_s,
    }
    return tuple((name, round(s * 1000)) for name, s in given.items() if s is not None)


class _GrpcServer:
    """A `server.Server`."""

    def __init__(self, server: grpc.aio.Server, interceptors: Interceptors) -> None:
        self._server = server
        self._interceptors = interceptors

    def bind(self, host: str, port: int, tls: TlsFiles | None = None) -> list[str]:
        """See `server.Server.bind`."""
        port = port or free_port(host)
        return [self._bind(each, port, tls) for each in addresses_of(host)]

    def add(self, add_to: Callable[[grpc.aio.Server], None]) -> None:
        """See `server.Server.add`."""
        # It waits for each registered method in a task of its own, and for all these tasks with each
        # call: the methods of the payment service took a twentieth of its time.
        add_to(self._interceptors.at(self._server, registers=False))

    async def start(self) -> None:
        """See `server.Server.start`."""
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """See `server.Server.stop`."""
        await self._server.stop(grace_s)

    def _bind(self, host: str, port: int, tls: TlsFiles | None) -> str:
        address = with_port(host, port)
        try:
            if tls is None:
                self._server.add_insecure_port(address)
            else:
                from paycli.host.transport.tls import server_credentials

                self._server.add_secure_port(address, server_credentials(tls))
        except RuntimeError as problem:  # it does not say why: ask the system again
            raise StartError(f"Cannot listen on {address}: {why_not(host, port)}") from problem
        return address
