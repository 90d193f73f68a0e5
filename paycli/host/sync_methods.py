"""Methods of servicers that are not async, served like those that are: each call gets a thread.

What they are given behaves as grpc.server's: a context whose methods return when they are done, and an
iterator of requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing, nullcontext
from typing import Any, Final, NoReturn, Self, TypeVar

import grpc

from paycli.host.interceptors import Behaviour, Context, Interceptor, Method
from paycli.host.threads import Threads

_Answer = TypeVar("_Answer")
_END: Final = object()


def in_threads(threads: Threads) -> Interceptor:
    """The interceptor that makes a method async if it is not."""

    def adapt(method: Method) -> Method:
        if inspect.iscoroutinefunction(method.behaviour) or method.yields:
            return method
        make = _stream if method.response_streaming else _single
        return method._replace(behaviour=make(method, threads))

    return adapt


def _single(method: Method, threads: Threads) -> Behaviour:
    behaviour: Callable[[Any, Any], Any] = method.behaviour

    async def call(request: Any, context: Context) -> Any:
        given = _given(method, request)
        with SyncContext(context) as seen:
            answer = await threads.run(behaviour, given, seen)
            # A decorator may hide that the method is async.
            return await answer if inspect.isawaitable(answer) else answer

    return call


def _stream(method: Method, threads: Threads) -> Behaviour:
    behaviour: Callable[[Any, Any], Any] = method.behaviour

    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        given = _given(method, request)
        with SyncContext(context) as seen:
            responses = await threads.run(behaviour, given, seen)
            if not isinstance(responses, AsyncIterator):
                responses = _taken_in_turn(iter(responses), threads)
            closing = (
                aclosing(responses) if isinstance(responses, AsyncGenerator) else nullcontext()
            )
            async with closing:
                async for response in responses:
                    yield response

    return call


async def _taken_in_turn(responses: Iterator[Any], threads: Threads) -> AsyncGenerator[Any, None]:
    """Each response by a thread that is free; a generator is closed, for what it has to let go of."""
    step: asyncio.Future[Any] | None = None
    try:
        while True:
            step = asyncio.ensure_future(threads.run(next, responses, _END))
            response = await asyncio.shield(step)
            if response is _END:
                return
            yield response
    finally:
        if step is not None and not step.done():
            await asyncio.wait((step,))  # while it is at work it cannot be closed
        close: Callable[[], object] | None = getattr(responses, "close", None)
        if close is not None:
            await threads.run(close)


def _given(method: Method, request: Any) -> Any:
    return _Requests(request) if method.request_streaming else request


class _Requests(Iterator[Any]):
    """The requests of a stream, for a thread that waits for each."""

    def __init__(self, requests: AsyncIterator[Any]) -> None:
        self._requests = requests
        self._loop = asyncio.get_running_loop()

    def __next__(self) -> Any:
        request = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        if request is _END:
            raise StopIteration
        return request

    async def _next(self) -> Any:
        return await anext(self._requests, _END)


class SyncContext(grpc.ServicerContext):
    """The context of a call, for a thread; entered while the call lasts."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._active = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._active = False
        for callback in self._callbacks:
            # Not in one of the method's threads: it may be what frees them.
            threading.Thread(target=callback, daemon=True).start()

    def _wait_for(self, coroutine: Coroutine[Any, Any, _Answer]) -> _Answer:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def is_active(self) -> bool:
        return self._active

    def time_remaining(self) -> float:
        return self._context.time_remaining()

    def cancel(self) -> bool:
        if not self.is_active():
            return False
        with contextlib.suppress(grpc.aio.AbortError):
            self._wait_for(self._abort(grpc.StatusCode.CANCELLED, "CANCELLED", ()))
        return True

    def add_callback(self, callback: Callable[[], None]) -> bool:
        with self._lock:
            if self._active:
                self._callbacks.append(callback)
            return self._active

    def invocation_metadata(self) -> Any:
        return self._context.invocation_metadata()

    def peer(self) -> str:
        return str(self._context.peer())

    def peer_identities(self) -> Any:
        return self._context.peer_identities()

    def peer_identity_key(self) -> str | None:
        return self._context.peer_identity_key()

    def auth_context(self) -> Any:
        return self._context.auth_context()

    def set_compression(self, compression: grpc.Compression) -> None:
        self._context.set_compression(compression)

    def disable_next_message_compression(self) -> None:
        self._context.disable_next_message_compression()

    def send_initial_metadata(self, initial_metadata: Any) -> None:
        self._wait_for(self._send_initial_metadata(initial_metadata))

    async def _send_initial_metadata(self, metadata: Any) -> None:
        await self._context.send_initial_metadata(tuple(metadata))

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._context.set_trailing_metadata(tuple(trailing_metadata))

    def trailing_metadata(self) -> Any:
        return self._context.trailing_metadata()

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        self._wait_for(self._abort(code, details, ()))
        raise AssertionError("abort returned")

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        self._wait_for(self._abort(status.code, status.details, status.trailing_metadata or ()))
        raise AssertionError("abort returned")

    async def _abort(self, code: grpc.StatusCode, details: str, metadata: Any) -> None:
        await self._context.abort(code, details, tuple(metadata))

    def set_code(self, code: grpc.StatusCode) -> None:
        self._context.set_code(code)

    def set_details(self, details: str) -> None:
        self._context.set_details(details)

    def code(self) -> Any:
        return self._context.code()

    def details(self) -> Any:
        return self._context.details()
