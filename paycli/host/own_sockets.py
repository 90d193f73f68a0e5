"""The sockets of this process, also those that grpc made and does not hand out."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

_OF_TCP: Final = (socket.AF_INET, socket.AF_INET6)


def own_sockets(port: int) -> Iterator[socket.socket]:
    """Those at this port: what listens there, and the connections to it.

    Each is a copy, to be used until the next one is asked for; who shuts it down shuts down the socket
    itself. Its peer may be gone, which its methods tell by OSError.
    """
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - numbers, not paths
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as found:
                if found.family in _OF_TCP and found.getsockname()[1] == port:
                    yield found


def listens(found: socket.socket) -> bool:
    """Whether it takes connections, and is none itself."""
    return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
