"""What stands around a call on pygrpc-native, so that it is as one on grpc.aio."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final, NoReturn

import grpc

from paycli.host.interceptors import Context, Method, status_of

Metadata = Any  # pairs of str and str or bytes, as grpc takes them

_KEY: Final = re.compile(r"[0-9a-z_.-]+")
_TEXT: Final = re.compile(r"[ -~]*")
_BINARY: Final = "-bin"
# Given these, the wheel sends nothing, or what clients must refuse: their calls would hang or break.
_WITHHELD: Final = re.compile(
    r"grpc-(?!status-details-bin$).*|connection|keep-alive|proxy-connection|te|transfer-encoding|upgrade"
)
_NEVER_S: Final = float(sys.maxsize)  # how the wheel says that there is no deadline


class Calls:
    """The interceptor that keeps the tasks of the calls in flight; once told so, it refuses new ones."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._refuses = False

    def refuse(self) -> None:
        """Take no more."""
        self._refuses = True

    async def end(self, timeout_s: float) -> None:
        """Wait until all have ended, or for this time."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    def __call__(self, method: Method) -> Method:
        """Put it around a method. It is to be the outermost."""
        behaviour = method.behaviour

        async def single(request: Any, given: Context) -> Any:
            with _NativeContext(given, self._tasks) as context:
                if self._refuses:
                    await _refuse(context)
                return await behaviour(request, context)

        async def stream(request: Any, given: Context) -> AsyncIterator[Any]:
            with _NativeContext(given, self._tasks) as context:
                if self._refuses:
                    await _refuse(context)
                async with aclosing(behaviour(request, context)) as responses:
                    async for response in responses:
                        yield response

        return method._replace(behaviour=stream if method.yields else single)


async def _refuse(context: _NativeContext) -> NoReturn:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "The server is stopping.")


class _NativeContext:
    """The context of a call, with the wheel's differences from grpc.aio taken back.

    Entered while the call runs; its task then is one of those in flight.
    """

    __slots__ = ("_given", "_task", "_tasks", "_was_cut")

    def __init__(self, given: Any, tasks: set[asyncio.Task[Any]]) -> None:
        self._given = given
        self._tasks = tasks
        self._was_cut = False

    def __enter__(self) -> Any:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._tasks.add(task)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._tasks.discard(self._task)
        if kind is not None and issubclass(kind, asyncio.CancelledError | GeneratorExit):
            self._was_cut = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._given, name)

    def invocation_metadata(self) -> Any:
        """What the caller sent."""
        return self._given.invocation_metadata()

    def done(self) -> bool:
        """Whether a status was sent."""
        return self._given.done() and not (self._was_cut or self._given.cancelled())

    def time_remaining(self) -> float | None:
        """Seconds until the deadline; None without one."""
        left_s = self._given.time_remaining()
        return None if left_s is None or left_s >= _NEVER_S else left_s

    async def send_initial_metadata(self, initial_metadata: Metadata) -> None:
        """Send it now, or with the response."""
        await self._given.send_initial_metadata(_sendable(initial_metadata))

    def set_trailing_metadata(self, trailing_metadata: Metadata) -> None:
        """Send it with the status."""
        self._given.set_trailing_metadata(_sendable(trailing_metadata))

    def set_code(self, code: grpc.StatusCode) -> None:
        """End the call with it, if it ends by itself."""
        self._given.set_code(status_of(code))

    def set_details(self, details: str) -> None:
        """Say so to the caller. Raises TypeError for what is no text, which would end its connection."""
        if not isinstance(details, str):
            raise TypeError(f"details are text, not {type(details).__name__}")
        self._given.set_details(details)

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()
    ) -> NoReturn:
        """End the call."""
        await self._given.abort(status_of(code), details, _sendable(trailing_metadata))
        raise AssertionError("abort returned")

    async def abort_with_status(self, status: Any) -> NoReturn:
        """End the call."""
        await self.abort(status.code, status.details, status.trailing_metadata)


def _sendable(metadata: Metadata) -> tuple[tuple[str, str | bytes], ...]:
    """What may go on the wire. Raises ValueError for what grpc refuses to send."""
    return tuple(_checked(*pair) for pair in metadata or () if not _WITHHELD.fullmatch(pair[0]))


def _checked(key: str, value: str | bytes) -> tuple[str, str | bytes]:
    binary = key.endswith(_BINARY)
    if isinstance(value, bytes) and not binary:
        value = value.decode("ascii")
    if not (_KEY.fullmatch(key) and isinstance(value, bytes if binary else str)):
        raise ValueError(f"{key!r} with a {type(value).__name__} is no metadata")
    if isinstance(value, str) and not _TEXT.fullmatch(value):
        raise ValueError(f"the metadata {key!r} is not printable ASCII")
    return key, value
