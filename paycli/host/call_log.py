"""The call log: a line for each call, with its end and what its service noted of it."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Final

from paycli.host.calls import Call

# The attribute of a log record that holds its fields, for whoever writes them.
FIELDS: Final = "fields"

_log = logging.getLogger("paycli.calls")  # what it is called in the README
_current: ContextVar[Call | None] = ContextVar("call", default=None)


class CallLog:
    """A `host.calls.CallObserver`."""

    def started(self, call: Call) -> None:
        """Lines that the call itself logs have its request id, and it can be noted of."""
        _current.set(call)  # in the task of the call, which ends with it
        call.notes["peer"] = call.context.peer().replace("%5B", "[").replace("%5D", "]")

    def ended(self, call: Call) -> None:
        """Log the line."""
        fields = {
            "method": call.method.name,
            "code": call.code.name,
            "duration_ms": round(call.seconds * 1000, 3),
            "request_id": call.request_id,
            **call.notes,
        }
        # As _log.info, which looks for the line of code that called it with each line.
        record = _log.makeRecord(
            _log.name, logging.INFO, "", 0, "call ended", (), None, extra={FIELDS: fields}
        )
        _log.handle(record)


def is_noted() -> bool:
    """Whether this is a call that gets a line."""
    return _current.get() is not None


def note(**fields: object) -> None:
    """Put these into the line of the call that this is, if it gets one. No personal data."""
    call = _current.get()
    if call is not None:
        call.notes.update(fields)


def request_id() -> str:
    """The request id of the call that this is; "" when it is none, or gets no line."""
    call = _current.get()
    return call.request_id if call is not None else ""
