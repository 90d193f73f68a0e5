"""How a server leaves to others what it has, without a call that fails.

A server that is shut down ends the calls that have arrived and that nobody has looked at yet. One that
retires takes no new connections, and stops once those that it has are gone: each gets a GOAWAY at its
greatest age, and its client calls the next server.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import Final

from paycli.host.own_sockets import listens, own_sockets

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
    for each in own_sockets(port):
        if listens(each):
            each.shutdown(socket.SHUT_RDWR)
