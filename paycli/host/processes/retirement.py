"""How a server leaves to others what it has, without a call that fails.

A server that is shut down ends the calls that have arrived and that nobody has looked at yet. One that
retires takes no new connections, and stops once those that it has are gone: each gets a GOAWAY at its
greatest age, and its client calls the next server.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from contextlib import suppress
from typing import Final

_JITTER: Final = 1.1  # grpc lets a connection become so many times as old


def retire_on_signal(port: int, age_s: float | None, stop: asyncio.Event) -> None:
    """At SIGUSR1, set `stop` once no connection to this port is left. Without an age, at once."""
    loop = asyncio.get_running_loop()

    def retire() -> None:
        if age_s is None:
            stop.set()
        else:
            _stop_listening(port)
            loop.call_later(_JITTER * age_s, stop.set)

    loop.add_signal_handler(signal.SIGUSR1, retire)


def _stop_listening(port: int) -> None:
    """grpc has no word for it; a listening socket that is shut down listens no more."""
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - numbers, not paths
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                with socket.socket(fileno=os.dup(int(name))) as found:
                    if _listens(found, port):
                        found.shutdown(socket.SHUT_RDWR)


def _listens(found: socket.socket, port: int) -> bool:
    if found.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    return bool(listens) and found.getsockname()[1] == port
