"""A relay of bytes before a server, that can break the connection a call came by.

grpc offers no way to do that. The server sees the relay's connections; so their own ports, which it calls
peers, tell which client's connection is meant. TLS goes through as it is.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

from paycli.host.transport.ports import listening, with_port

_CHUNK: Final = 65_536
_PEER: Final = re.compile(r"ipv4:127\.0\.0\.1:(\d+)")
_AT_ONCE: Final = struct.pack("ii", 1, 0)  # SO_LINGER: what is not sent is lost, and the peer told


class Relay:
    """Connections of clients by the port of the relay's own connection to the server."""

    def __init__(self) -> None:
        self._clients: dict[int, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def before(self, host: str, port: int, address: str) -> AsyncIterator[Sequence[str]]:
        """Listen on all addresses of a host, for the server at this one. Raises StartError."""
        serve = partial(self._serve, address)
        with listening(host, port) as sockets:
            servers = [await asyncio.start_server(serve, sock=each) for each in sockets]
            try:
                yield [with_port(*each.getsockname()[:2]) for each in sockets]
            finally:
                for server in servers:
                    server.close()
                for client in list(self._clients.values()):
                    client.close()
                if self._tasks:
                    await asyncio.wait(self._tasks, timeout=1)

    def drop(self, peer: str) -> None:
        """Break the connection that the server knows as this peer; its client gets a reset."""
        match = _PEER.fullmatch(peer)
        client = self._clients.get(int(match[1])) if match else None
        if client is not None and not client.is_closing():
            raw = client.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            client.transport.abort()

    async def _serve(
        self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        host, _, port = address.rpartition(":")
        with suppress(OSError):
            theirs, ours = await asyncio.open_connection(host, int(port))
            own_port = ours.get_extra_info("sockname")[1]
            self._clients[own_port] = writer
            try:
                await asyncio.gather(_copy(reader, ours), _copy(theirs, writer))
            finally:
                del self._clients[own_port]
                ours.close()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while (chunk := await reader.read(_CHUNK)) and not writer.is_closing():
            writer.write(chunk)
            await writer.drain()
    writer.close()
