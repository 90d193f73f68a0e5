"""Addresses of this machine, and ports that are free there."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Final

from paycli.addresses import address_of, is_localhost
from paycli.errors import StartError

_LOOPBACK: Final = ("127.0.0.1", "::1")
_PORT_TRIES: Final = 20


def addresses_of(host: str) -> list[str]:
    """What to listen on: both loopbacks for `localhost`; gRPC takes no short address, such as 127.1."""
    if is_localhost(host):
        return [ip for ip in _LOOPBACK if _can_bind(ip)]
    return [str(address_of(host) or host)]


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


def why_not(host: str, port: int) -> str:
    """Why nobody can listen there, and what to do."""
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


def _listen(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address[:2], family=family)
