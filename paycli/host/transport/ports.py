"""Addresses of this machine, and ports that are free there."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from paycli.addresses import address_of, is_localhost
from paycli.errors import StartError

_LOOPBACK: Final = ("127.0.0.1", "::1")
_PORT_TRIES: Final = 20


def addresses_of(host: str) -> list[str]:
    """What to listen on: both loopbacks for `localhost`; gRPC takes no short address, such as 127.1."""
    if is_localhost(host):
        return [ip for ip in _LOOPBACK if _can_bind(ip)]
    return [str(address_of(host) or host)]


@contextmanager
def listening(host: str, port: int, *, prefix: str = "") -> Iterator[list[socket.socket]]:
    """Sockets that listen on all addresses of a host, port 0 on a free one. Raises StartError.

    `prefix` begins the names of the options that chose host and port.
    """
    with contextlib.ExitStack() as stack:
        port = port or free_port(host)
        sockets = []
        for each in addresses_of(host):
            try:
                sockets.append(stack.enter_context(_listen(each, port)))
            except OSError as problem:
                raise StartError(
                    f"Cannot listen on {with_port(each, port)}: {why_not(each, port, prefix=prefix)}"
                ) from problem
        yield sockets


@contextmanager
def reserved(host: str, port: int) -> Iterator[list[str]]:
    """The addresses of a host on this port, or on a free one, kept for those who listen with
    SO_REUSEPORT. Raises StartError.
    """
    with listening(host, port) as sockets:  # nobody does by now
        port = sockets[0].getsockname()[1]
    with contextlib.ExitStack() as stack:
        for each in addresses_of(host):
            kept = stack.enter_context(socket.socket(_family_of(each)))
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            kept.bind((each, port))
        yield [with_port(each, port) for each in addresses_of(host)]


def with_port(host: str, port: int) -> str:
    """As it is written: 127.0.0.1:50051, [::1]:50051."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def free_port(host: str) -> int:
    """A port that is free on all addresses of a host at this moment. Raises StartError."""
    hosts = addresses_of(host)
    for _ in range(_PORT_TRIES):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            first = stack.enter_context(_listen(hosts[0], 0))
            port = int(first.getsockname()[1])
            for each in hosts[1:]:
                stack.enter_context(_listen(each, port))
            return port
    for each in hosts:
        if not _can_bind(each):
            raise StartError(f"Cannot listen on {each}: {why_not(each, 0)}")
    raise StartError("No port is free on all addresses. Choose one with --port.")


def why_not(host: str, port: int, *, prefix: str = "") -> str:
    """Why nobody can listen there, and what to do with the options, whose names begin so."""
    host_option, port_option = f"--{prefix}host", f"--{prefix}port"
    try:
        _listen(host, port).close()
    except socket.gaierror:
        return f"the host is not known. Give {host_option} an address of this machine."
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            return (
                f"another program listens there. Stop it, or choose another {port_option} (0: any)."
            )
        return f"{os.strerror(problem.errno or 0)}. Choose another {host_option} or {port_option}."
    return "the port was taken for a moment. Try again."


def _can_bind(host: str) -> bool:
    try:
        _listen(host, 0).close()
    except OSError:  # no IPv6 (or IPv4) on this machine
        return False
    return True


def _listen(host: str, port: int) -> socket.socket:
    family, address = _resolved(host, port)
    return socket.create_server(address[:2], family=family)


def _family_of(host: str) -> socket.AddressFamily:
    return _resolved(host, 0)[0]


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """Raises OSError."""
    name = host.encode() if host.isascii() else host  # a str has Python load the tables of IDNA
    try:
        family, _, _, _, address = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0]
    except UnicodeError as problem:  # no name of DNS can be so
        raise socket.gaierror(socket.EAI_NONAME, str(problem)) from problem
    return family, address
