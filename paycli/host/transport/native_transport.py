"""The transport of pygrpc-native: HTTP/2 in Rust threads, under servicers written for grpc.aio.

A server of the wheel has one address, so there is one for each. Methods whose requests stream, and those
of handlers that no generated code added, it hands to a grpc.aio server of its own behind a Unix socket.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import grpc

from paycli.errors import InputError, StartError
from paycli.host.interceptors import Interceptors
from paycli.host.transport.native_calls import Calls
from paycli.host.transport.ports import addresses_of, free_port, why_not, with_port
from paycli.host.transport.server import NO_LIMITS, PEER_OPTIONS, Limits, Server

if TYPE_CHECKING:
    from pygrpc_native.aio import Server as NativeServer

    from paycli.host.transport.tls import TlsFiles

MISSING: Final = (
    "--transport native needs pygrpc-native, which is there for Linux and macOS on x86-64 and arm64; "
    "run pip install 'paycli[native]'."
)

_log = logging.getLogger("pygrpc_native")


def make_server(
    interceptors: Interceptors,
    limits: Limits = NO_LIMITS,
    *,
    channelz: bool = False,
    reuse_port: bool = False,
) -> Server:
    """See `server.MakeServer`. Of the limits it keeps that of a message alone.

    Raises InputError where the wheel is missing.
    """
    try:
        from pygrpc_native.aio import Server as NativeServer
    except ImportError as problem:
        raise InputError(MISSING) from problem
    if channelz or limits.idle_s is not None or limits.age_s is not None:
        raise NotImplementedError("no channelz, no age and no idle time of connections")
    options = (
        *PEER_OPTIONS,
        ("grpc.so_reuseport", int(reuse_port)),
        ("grpc.max_receive_message_length", limits.message_bytes),
    )
    calls = Calls()
    interceptors.enclose(calls)
    return _Servers(partial(NativeServer, options=options), interceptors, calls)


class _Servers:
    """A `server.Server`: one of the wheel's for each address."""

    def __init__(
        self, make: Callable[[], NativeServer], interceptors: Interceptors, calls: Calls
    ) -> None:
        self._make = make
        self._interceptors = interceptors
        self._calls = calls
        self._added: list[Callable[[grpc.aio.Server], None]] = []
        self._servers: list[NativeServer] = []

    def bind(self, host: str, port: int, tls: TlsFiles | None = None) -> list[str]:
        """See `server.Server.bind`."""
        if tls is not None:
            raise NotImplementedError("no TLS")
        port = port or free_port(host)
        return [self._bind(each, port) for each in addresses_of(host)]

    def add(self, add_to: Callable[[grpc.aio.Server], None]) -> None:
        """See `server.Server.add`."""
        self._added.append(add_to)

    async def start(self) -> None:
        """See `server.Server.start`."""
        for server in self._servers:
            for add_to in self._added:
                add_to(self._interceptors.at(server, registers=True))
            try:
                await server.start()
            except OSError as problem:  # the folder of its Unix socket
                raise StartError(f"The native transport cannot start: {problem}") from problem

    async def stop(self, grace_s: float) -> None:
        """See `server.Server.stop`."""
        self._calls.refuse()
        if grace_s:
            await self._calls.end(grace_s)
        # With a grace of its own it could not be hurried.
        await asyncio.gather(*(server.stop(None) for server in self._servers))

    def _bind(self, host: str, port: int) -> str:
        address = with_port(host, port)
        server = self._make()
        try:
            with _silent():
                server.add_insecure_port(address)
        except RuntimeError as problem:
            raise StartError(f"Cannot listen on {address}: {why_not(host, port)}") from problem
        self._servers.append(server)
        return address


@contextmanager
def _silent() -> Iterator[None]:
    """Without the wheel's own word on an address that is taken: an error says it."""

    def nothing(_: logging.LogRecord) -> bool:
        return False

    _log.addFilter(nothing)
    try:
        yield
    finally:
        _log.removeFilter(nothing)
