"""The interceptor that shows how each call began and how it really ended to whoever watches.

A call has ended when grpc has sent its status, or found that nobody is there to hear one; the method
itself does not know which. So it is the end of the call's task that tells. (A callback of the context
would tell, too, but it makes the call a cycle, which costs more than all the rest of this.)
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Protocol

import grpc

from paycli.host.interceptors import Context, Interceptor, Method, status_of
from paycli.wire_names import REQUEST_ID

_PROCESS: Final = os.urandom(4).hex()
_numbers = itertools.count(1)
_current: ContextVar[Call | None] = ContextVar("call", default=None)

_SANE_ID: Final = re.compile(r"[!-~]{1,128}")

# A client may give up a little before its deadline is here: grpc sends it rounded up to three digits.
_EARLY_S: Final = 0.02
_EARLY_SHARE: Final = 0.01


class Call:
    """One call. `code` and `seconds` are known once it has ended, the times as of a monotonic clock."""

    __slots__ = ("_request_id", "began", "code", "context", "method", "notes", "seconds")

    def __init__(self, method: Method, context: Context) -> None:
        self.method = method
        self.context = context
        self.began = time.perf_counter()
        self.code = grpc.StatusCode.OK
        self.seconds = 0.0
        self.notes: dict[str, object] = {}
        self._request_id = ""

    @property
    def request_id(self) -> str:
        """What the caller calls it, if that is fit for a log; else a name of our own."""
        if not self._request_id:
            self._request_id = _sent_id(self.context) or f"{_PROCESS}{next(_numbers):08x}"
        return self._request_id

    def end(self) -> None:
        """Take down how it ended."""
        self.seconds = time.perf_counter() - self.began
        if self.context.done():
            self.code = status_of(self.context.code())
        else:  # no status was sent, for nobody waits for it
            late = _is_late(self.context.time_remaining(), self.seconds)
            code = grpc.StatusCode
            self.code = code.DEADLINE_EXCEEDED if late else code.CANCELLED


class CallObserver(Protocol):
    """Who watches calls. What it raises at the start fails the call."""

    def started(self, call: Call) -> None:
        """In the call's own task, before its method runs."""

    def ended(self, call: Call) -> None:
        """Once for each call that was started."""


def observed(observers: Sequence[CallObserver]) -> Interceptor:
    """The interceptor for these. It is to be the outermost."""

    def ended(call: Call, _: asyncio.Task[Any]) -> None:
        call.end()
        for each in observers:
            each.ended(call)

    def begin(method: Method, context: Context) -> None:
        call = Call(method, context)
        for each in observers:
            each.started(call)
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(partial(ended, call))

    def around(method: Method) -> Method:
        behaviour = method.behaviour

        async def single(request: Any, context: Context) -> Any:
            begin(method, context)
            return await behaviour(request, context)

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            begin(method, context)
            async with aclosing(behaviour(request, context)) as responses:
                async for response in responses:
                    yield response

        return method._replace(behaviour=stream if method.yields else single)

    return around


def be_current(call: Call) -> None:
    """Let all that its task does from now on be of this call; the task ends with it."""
    _current.set(call)


def current_call() -> Call | None:
    """The call that this is, if somebody reads its notes."""
    return _current.get()


def note(**fields: object) -> None:
    """Put these into the log line of the call that this is, if it gets one. No personal data."""
    call = _current.get()
    if call is not None:
        call.notes.update(fields)


def request_id() -> str:
    """The request id of the call that this is; "" when it is none, or gets no line."""
    call = _current.get()
    return call.request_id if call is not None else ""


def _sent_id(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID and isinstance(value, str) and _SANE_ID.fullmatch(value):
            return value
    return ""


def _is_late(remaining_s: float | None, seconds: float) -> bool:
    return remaining_s is not None and remaining_s <= _EARLY_S + _EARLY_SHARE * seconds
