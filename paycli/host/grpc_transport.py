"""The one place that makes a gRPC server and gives it addresses."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Sequence
from typing import Final

import grpc

from paycli.addresses import address_of, is_localhost
from paycli.errors import StartError
from paycli.host.interceptors import Interceptors

_LOOPBACK: Final = ("127.0.0.1", "::1")
_PORT_TRIES: Final = 20
_METADATA_BYTES_MAX: Final = 16 * 1024
_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share it silently
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    # Below the hard limit grpc refuses by chance; both at the same place, it does not.
    ("grpc.max_metadata_size", _METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", _METADATA_BYTES_MAX),
    # A client that has more to ask on one connection waits for its turn by itself. Four times what
    # a busy one has in flight, and a twentieth of what the store lets wait (group_commit).
    ("grpc.max_concurrent_streams", 1000),
    # It counts calls that are over until Python has forgotten them, and resets calls of a client that
    # keeps to the limit.
    ("grpc.http.overload_protection", 0),
    ("grpc.keepalive_time_ms", 60_000),  # finds half-open connections
    ("grpc.keepalive_timeout_ms", 20_000),
    # Load balancers ask clients to ping every 10 to 60 s, calls or not; grpc's own limit is 5 min,
    # and who pings more often loses its streams. Clocks differ, so the limit is well below 10 s.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
)


def make_server(interceptors: Interceptors) -> grpc.aio.Server:
    """A server without services or addresses, and what stands around each of its calls."""
    return grpc.aio.server(options=_OPTIONS, interceptors=(interceptors,))


def bind(server: grpc.aio.Server, host: str, port: int) -> list[str]:
    """Bind host:port and return the addresses; `localhost` is both loopbacks on one port.

    Port 0 picks a free one. Raises StartError with one sentence when it cannot.
    """
    hosts = _addresses(host)
    port = port or _free_port(hosts)
    return [_bind_one(server, each, port) for each in hosts]


def _addresses(host: str) -> list[str]:
    """What to listen on; gRPC takes no short address, such as 127.1."""
    if is_localhost(host):
        return [ip for ip in _LOOPBACK if _can_bind(ip)]
    return [str(address_of(host) or host)]


def _bind_one(server: grpc.aio.Server, host: str, port: int) -> str:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        server.add_insecure_port(address)
    except RuntimeError as problem:  # it does not say why: ask the system again
        raise StartError(f"Cannot listen on {address}: {_why_not(host, port)}") from problem
    return address


def _why_not(host: str, port: int) -> str:
    try:
        _listen(host, port).close()
    except socket.gaierror:
        return "the host is not known. Give --host an address of this machine."
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            return "another program listens there. Stop it, or choose another --port (0: any)."
        return f"{os.strerror(problem.errno or 0)}. Choose another --host or --port."
    return "the port was taken for a moment. Try again."


def _can_bind(host: str) -> bool:
    try:
        _listen(host, 0).close()
    except OSError:  # no IPv6 (or IPv4) on this machine
        return False
    return True


def _free_port(hosts: Sequence[str]) -> int:
    """A port that is free on all hosts at this moment."""
    for _ in range(_PORT_TRIES):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            first = stack.enter_context(_listen(hosts[0], 0))
            port = int(first.getsockname()[1])
            for host in hosts[1:]:
                stack.enter_context(_listen(host, port))
            return port
    for host in hosts:
        if not _can_bind(host):
            raise StartError(f"Cannot listen on {host}: {_why_not(host, 0)}")
    raise StartError("No port is free on all addresses. Choose one with --port.")


def _listen(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address[:2], family=family)
