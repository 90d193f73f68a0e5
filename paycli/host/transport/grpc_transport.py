"""The one place that makes a gRPC server and gives it addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import grpc

from paycli.errors import StartError
from paycli.host.interceptors import Interceptors
from paycli.host.transport.file_descriptors import file_descriptors
from paycli.host.transport.ports import addresses_of, free_port, why_not, with_port
from paycli.host.transport.tls import TlsFiles, server_credentials

_OTHER_FILES: Final = 128  # stores, logs, metrics: what must not fail for a crowd of connections
_METADATA_BYTES_MAX: Final = 16 * 1024
_OPTIONS: Final = (
    # Below the hard limit grpc refuses by chance; both at the same place, it does not.
    ("grpc.max_metadata_size", _METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", _METADATA_BYTES_MAX),
    # A client that has more to ask on one connection waits for its turn by itself. Four times what
    # a busy one has in flight, and a twentieth of what the store lets wait (group_commit).
    ("grpc.max_concurrent_streams", 1000),
    # It counts calls that are over until Python has forgotten them, and resets calls of a client that
    # keeps to the limit.
    ("grpc.http.overload_protection", 0),
    # Whoever connects and then says nothing, or too slowly, is gone after this.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.http2.settings_timeout", 10_000),
    ("grpc.keepalive_time_ms", 60_000),  # finds half-open connections
    ("grpc.keepalive_timeout_ms", 20_000),
    # Load balancers ask clients to ping every 10 to 60 s, calls or not; grpc's own limit is 5 min,
    # and who pings more often loses its streams. Clocks differ, so the limit is well below 10 s.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a connection may be without calls, and how old it gets, in seconds; None for ever.

    One that is over gets a GOAWAY, and its calls end. Of more than `connections` at an address the
    last are closed at once. `message_bytes` is the most that a request may have, -1 for no limit.
    """

    idle_s: float | None = None
    age_s: float | None = None
    connections: int = 10_000
    message_bytes: int = 4 * 1024 * 1024


NO_LIMITS: Final = Limits()


def make_server(
    interceptors: Interceptors,
    limits: Limits = NO_LIMITS,
    *,
    channelz: bool = False,
    reuse_port: bool = False,
) -> grpc.aio.Server:
    """A server without services or addresses, and what stands around each of its calls.

    With `channelz` it keeps count of its connections, for the service of that name. Without `reuse_port`
    a second server on the port fails, and does not share it silently.
    """
    connections = min(limits.connections, file_descriptors() - _OTHER_FILES)
    options = (*_OPTIONS, *_times(limits), ("grpc.enable_channelz", int(channelz)))
    options += (("grpc.max_allowed_incoming_connections", connections),)
    options += (("grpc.so_reuseport", int(reuse_port)),)
    options += (("grpc.max_receive_message_length", limits.message_bytes),)
    return grpc.aio.server(options=options, interceptors=(interceptors,))


def _times(limits: Limits) -> tuple[tuple[str, int], ...]:
    given = {
        "grpc.max_connection_idle_ms": limits.idle_s,
        "grpc.max_connection_age_ms": limits.age_s,
    }
    return tuple((name, round(s * 1000)) for name, s in given.items() if s is not None)


def bind(server: grpc.aio.Server, host: str, port: int, tls: TlsFiles | None = None) -> list[str]:
    """Bind host:port and return the addresses; `localhost` is both loopbacks on one port.

    Port 0 picks a free one. Raises StartError with one sentence when it cannot, InputError for files
    of TLS that do not fit.
    """
    port = port or free_port(host)
    return [_bind_one(server, each, port, tls) for each in addresses_of(host)]


def _bind_one(server: grpc.aio.Server, host: str, port: int, tls: TlsFiles | None) -> str:
    address = with_port(host, port)
    try:
        if tls is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, server_credentials(tls))
    except RuntimeError as problem:  # it does not say why: ask the system again
        raise StartError(f"Cannot listen on {address}: {why_not(host, port)}") from problem
    return address
