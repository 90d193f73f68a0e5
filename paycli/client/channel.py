"""Channels: how a target is reached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc

from paycli.errors import InputError, Unreachable

_HEALTH_CHECK: Final = "/grpc.health.v1.Health/Check"
_TARGET: Final = re.compile(r"(?P<host>[\w.-]+|\[[0-9A-Fa-f:.%]+\]):(?P<port>[0-9]{1,5})")
_PORT_MAX: Final = 65535


@contextmanager
def connect(
    target: str, timeout_s: float, *, plaintext: bool | None = None
) -> Iterator[grpc.Channel]:
    """An open channel to HOST:PORT. Raises Unreachable when no gRPC server answers there.

    Plaintext by default on loopback, TLS elsewhere; `plaintext` says otherwise.
    """
    host = _host_of(target)
    if plaintext if plaintext is not None else _is_loopback(host):
        channel = grpc.insecure_channel(target)
    else:
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials())
    with channel:
        _knock(channel, target, timeout_s)
        yield channel


def _knock(channel: grpc.Channel, target: str, timeout_s: float) -> None:
    """A call that moves no money, first: what fails later was sent and may have been paid.

    Any answer will do, also that there is no health service.
    """
    knock = channel.unary_unary(_HEALTH_CHECK, bytes, bytes)  # an empty message asks for the server
    try:
        knock(b"", timeout=timeout_s)
    except grpc.RpcError as problem:
        if problem.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            why = (problem.details() or "").rpartition("last error: ")[2].removeprefix("UNKNOWN: ")
            raise Unreachable(
                f"No service answers at {target} ({why}). Start one with 'paycli serve', or name "
                "another with --target HOST:PORT.",
                metadata={"target": target},
            ) from problem


def _host_of(target: str) -> str:
    found = _TARGET.fullmatch(target)
    if found is None or not 0 < int(found["port"]) <= _PORT_MAX:
        raise InputError(
            f"'{target}' is not a target; write HOST:PORT, such as localhost:50051 or [::1]:50051."
        )
    return found["host"].strip("[]")


def _is_loopback(host: str) -> bool:
    """Whether the host is this machine by its spelling alone; a name is never looked up."""
    ipv4 = host.startswith("127.") and host.replace(".", "").isdecimal()
    return ipv4 or host in ("localhost", "::1")
