"""What the life of a server asks of a transport, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import grpc

from paycli.host.interceptors import Interceptors

if TYPE_CHECKING:
    from paycli.host.transport.tls import TlsFiles

_METADATA_BYTES_MAX: Final = 16 * 1024

# What every transport lets peers do, as options of grpc.
PEER_OPTIONS: Final = (
    # Below the hard limit grpc refuses by chance; both at the same place, it does not.
    ("grpc.max_metadata_size", _METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", _METADATA_BYTES_MAX),
    # A client that has more to ask on one connection waits for its turn by itself. Four times what
    # a busy one has in flight, and a twentieth of what the store lets wait (group_commit).
    ("grpc.max_concurrent_streams", 1000),
    ("grpc.keepalive_time_ms", 60_000),  # finds half-open connections
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),  # for both sides
)


class Limits(NamedTuple):
    """How long a connection may be without calls, and how old it gets, in seconds; None for ever.

    One that is over gets a GOAWAY, and its calls end. Of more than `connections` at an address the
    last are closed at once. `message_bytes` is the most that a request may have, -1 for no limit.
    """

    idle_s: float | None = None
    age_s: float | None = None
    connections: int = 10_000
    message_bytes: int = 4 * 1024 * 1024


NO_LIMITS: Final = Limits()


class Server(Protocol):
    """Services at addresses. They are added, and addresses bound, before the start."""

    def bind(self, host: str, port: int, tls: TlsFiles | None = None) -> list[str]:
        """Bind host:port and return the addresses; `localhost` is both loopbacks on one port.

        Port 0 picks a free one. Raises StartError with one sentence when it cannot, InputError for files
        of TLS that do not fit.
        """
        ...

    def add(self, add_to: Callable[[grpc.aio.Server], None]) -> None:
        """Take a service by what adds it to a server, as the generated `add_…_to_server` does."""
        ...

    async def start(self) -> None:
        """Take calls from now on."""
        ...

    async def stop(self, grace_s: float) -> None:
        """Take no new calls, give those in flight this time, then end them and let the addresses go.

        Once more, it shortens the wait of the first.
        """
        ...


class MakeServer(Protocol):
    """A transport: it makes servers."""

    def __call__(
        self,
        interceptors: Interceptors,
        limits: Limits = NO_LIMITS,
        *,
        channelz: bool = False,
        reuse_port: bool = False,
    ) -> Server:
        """A server without services or addresses, and what stands around each of its calls.

        With `channelz` it keeps count of its connections, for the service of that name. Without
        `reuse_port` a second server on the port fails, and does not share it silently.
        """
        ...
