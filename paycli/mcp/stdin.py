"""Stdin that can be ended, for a server that ends when its stdin does and reads it in a thread."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import Final

_STDIN: Final = 0
_STDOUT: Final = 1
_CHUNK: Final = 65_536


def make_stdin_end() -> Callable[[], None]:
    """From now on stdin ends too when nobody reads stdout any more, and when the result is called.

    That may be done in the handler of a signal. Stdin stays so until the process ends.
    """
    source, sink = os.dup(_STDIN), os.dup(_STDOUT)
    outlet, inlet = os.pipe()
    os.dup2(outlet, _STDIN)
    os.close(outlet)
    woken, wake = os.pipe()
    # A daemon: nothing that stdin still holds is worth waiting for.
    threading.Thread(target=_pump, args=(source, sink, woken, inlet), daemon=True).start()

    def end() -> None:
        os.write(wake, b"\0")

    return end


def _pump(source: int, sink: int, woken: int, inlet: int) -> None:
    poll = select.poll()
    poll.register(source, select.POLLIN)
    poll.register(woken, select.POLLIN)
    poll.register(sink, 0)  # an error is told without being asked for: that its reader is gone
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if ready != {source} or not (chunk := os.read(source, _CHUNK)):
            os.close(inlet)
            return
        os.write(inlet, chunk)
