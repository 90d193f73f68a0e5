"""The call log: a line for each call, with its end and what its service noted of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from paycli.host.calls import Call, be_current
from paycli.host.log_lines import Lines

# What the README calls it.
LOGGER: Final = "paycli.calls"


class CallLog:
    """A `host.calls.CallObserver`."""

    def __init__(self, lines: Lines, put: Callable[[str], None]) -> None:
        """Lines go to `put` directly: a record of `logging` costs more than all that is in it."""
        self._lines = lines
        self._put = put

    def started(self, call: Call) -> None:
        """Lines that the call itself logs have its request id, and it can be noted of."""
        be_current(call)
        call.notes["peer"] = call.context.peer().replace("%5B", "[").replace("%5D", "]")

    def ended(self, call: Call) -> None:
        """Write the line."""
        fields = {
            "method": call.method.name,
            "code": call.code.name,
            "duration_ms": round(call.seconds * 1000, 3),
            "request_id": call.request_id,
            **call.notes,
        }
        self._put(self._lines.line(time.time(), "INFO", LOGGER, "call ended", fields))
