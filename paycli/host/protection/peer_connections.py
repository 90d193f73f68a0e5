"""How many connections one peer may have: grpc counts them at an address, not whose they are."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from paycli.addresses import address_of
from paycli.host.own_sockets import listens, own_sockets

_EACH_S: Final = 1.0
_NETWORK_BITS: Final = 64  # who has one address of IPv6 has all of its network (RFC 6177)

_log = logging.getLogger(__name__)


@asynccontextmanager
async def peer_connections(port: int, most: int) -> AsyncIterator[None]:
    """Close, within a second, what a peer opens at this port beyond so many."""
    keeping = asyncio.ensure_future(_keep(Peers(port, most)))
    try:
        yield
    finally:
        keeping.cancel()


async def _keep(peers: Peers) -> None:
    while True:
        with suppress(OSError):  # no descriptor is left to look with; the crowd may be smaller soon
            # In a thread, since ten thousand connections take a tenth of a second.
            for peer, closed in (await asyncio.to_thread(peers.close_surplus)).items():
                _log.warning(
                    "closed %d connections of %s, beyond the %d of a peer", closed, peer, peers.most
                )
        await asyncio.sleep(_EACH_S)


class Peers:
    """Who is connected to a port of this process. A peer is an IPv4 address or an IPv6 network (/64)."""

    def __init__(self, port: int, most: int) -> None:
        self.most = most
        self._port = port
        self._kept: set[Any] = set()  # addresses, as socket has them

    def close_surplus(self) -> dict[str, int]:
        """Close the newest connections of each peer that has too many; how many, by peer."""
        by_peer: dict[str, set[Any]] = defaultdict(set)
        for _, address in self._connections():
            by_peer[peer_of(address[0])].add(address)
        surplus: dict[Any, str] = {}
        for peer, addresses in by_peer.items():
            newest_last = sorted(addresses, key=lambda each: each not in self._kept)
            surplus.update(dict.fromkeys(newest_last[self.most :], peer))
        self._kept = {each for those in by_peer.values() for each in those} - surplus.keys()
        return self._close(surplus) if surplus else {}

    def _close(self, surplus: dict[Any, str]) -> dict[str, int]:
        closed: dict[str, int] = defaultdict(int)
        for each, address in self._connections():
            if address in surplus:
                with suppress(OSError):  # it ended by itself
                    each.shutdown(socket.SHUT_RDWR)
                    closed[surplus[address]] += 1
        return closed

    def _connections(self) -> Iterator[tuple[socket.socket, Any]]:
        for each in own_sockets(self._port):
            with suppress(OSError):  # it is gone
                if not listens(each):
                    yield each, each.getpeername()


def peer_of(host: str) -> str:
    """Whose address it is, as a socket has it."""
    address = address_of(host.partition("%")[0])  # without its zone
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback:
        return str(ipaddress.ip_network((address, _NETWORK_BITS), strict=False))
    return str(address)
