"""Channels: how a target is reached."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc

from paycli.errors import InputError, Unreachable

_PORT_MAX: Final = 65535


@contextmanager
def connect(
    target: str, timeout_s: float, *, plaintext: bool | None = None
) -> Iterator[grpc.Channel]:
    """An open channel to HOST:PORT. Raises Unreachable when nothing answers.

    Connecting first keeps two things apart: what was never sent, and what may have been paid.
    Plaintext by default on loopback, TLS elsewhere; `plaintext` says otherwise.
    """
    host = _host_of(target)
    if plaintext if plaintext is not None else _is_loopback(host):
        channel = grpc.insecure_channel(target)
    else:
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials())
    try:
        _wait_until_connected(channel, target, timeout_s)
        yield channel
    finally:
        channel.close()


def _wait_until_connected(channel: grpc.Channel, target: str, timeout_s: float) -> None:
    settled = threading.Event()
    states: list[grpc.ChannelConnectivity] = []

    def observe(state: grpc.ChannelConnectivity) -> None:
        states.append(state)
        if state in (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE):
            settled.set()

    channel.subscribe(observe, try_to_connect=True)
    answered = settled.wait(timeout_s)
    channel.unsubscribe(observe)
    if grpc.ChannelConnectivity.READY not in states:
        why = "refused the connection" if answered else f"did not answer within {timeout_s:g} s"
        raise Unreachable(
            f"No service at {target}: it {why}. Start one with 'paycli serve', or name another "
            "with --target HOST:PORT.",
            metadata={"target": target},
        )


def _host_of(target: str) -> str:
    host, colon, port = target.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) <= _PORT_MAX:
        raise InputError(f"'{target}' is not a target; write HOST:PORT, such as localhost:50051.")
    return host.strip("[]")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
