"""What systemd is told of a service of `Type=notify` (sd_notify(3)); nothing without its socket."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Final

SOCKET: Final = "NOTIFY_SOCKET"
BOUND: Final = "X_BOUND=1"  # the addresses are ours; what begins with X_ is for our own supervisor


def notify(*news: str) -> None:
    """Tell such as `READY=1`. Who does not hear it is no reason to stop."""
    path = os.environ.get(SOCKET, "")
    if not path.startswith(("/", "@")):
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path  # a name that no folder has
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told,
    ):
        told.connect(address)
        told.sendall("\n".join(news).encode())
