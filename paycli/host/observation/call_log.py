"""The call log: a line for each call, with its end and what its service noted of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final

import grpc

from paycli.host.observation.calls import Call, be_current
from paycli.host.observation.log_lines import Lines, MakeLine

# What the README calls it.
LOGGER: Final = "paycli.calls"

_End = tuple[str, grpc.StatusCode, float, str]


class CallLog:
    """A `host.observation.calls.CallObserver`."""

    def __init__(self, lines: Lines, put: Callable[[MakeLine], None]) -> None:
        """Lines go to `put`, which makes them later: many at once take a quarter of the time each."""
        self._lines = lines
        self._put = put

    def started(self, call: Call) -> None:
        """Lines that the call itself logs have its request id, and it can be noted of."""
        be_current(call)
        call.notes["peer"] = call.context.peer().replace("%5B", "[").replace("%5D", "]")

    def ended(self, call: Call) -> None:
        """Let the line be written; nothing of grpc's is kept for it."""
        end = (call.method.name, call.code, call.seconds, call.request_id)
        self._put(partial(self._line, time.time(), end, call.notes))

    def _line(self, now: float, end: _End, notes: dict[str, object]) -> str:
        method, code, seconds, request_id = end
        fields = {
            "method": method,
            "code": code.name,
            "duration_ms": round(seconds * 1000, 3),
            "request_id": request_id,
            **notes,
        }
        return self._lines.line(now, "INFO", LOGGER, "call ended", fields)
