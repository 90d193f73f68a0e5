"""Methods of servicers that are not async, served like those that are: each call gets a thread.

What they are given behaves as grpc.server's: a context whose methods return when they are done, and an
iterator of requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any, Final, Self

import grpc

from paycli.host.hosting.threads import Threads
from paycli.host.interceptors import Behaviour, Context, Interceptor, Method

_log = logging.getLogger(__name__)

_END: Final = object()
_CUT_OFF_S: Final = 0.005
# Responses that a method may be ahead of its caller: waiting for each takes three times as long.
_AHEAD_MAX: Final = 4
_NEVER_S: Final = float(2**63)  # what grpc.server says without a deadline, which can be compared


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
        with SyncContext(context) as seen:
            given = _given(method, request, seen)
            answer = await threads.run(behaviour, given, seen)
            # A decorator may hide that the method is async.
            return await answer if inspect.isawaitable(answer) else answer

    return call


def _stream(method: Method, threads: Threads) -> Behaviour:
    behaviour: Callable[[Any, Any], Any] = method.behaviour

    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        handed: asyncio.Queue[Any] = asyncio.Queue()
        with SyncContext(context, handed.join) as seen:
            start = partial(behaviour, _given(method, request, seen), seen)
            async with aclosing(_responses(start, threads, handed)) as responses:
                async for response in responses:
                    yield response

    return call


async def _responses(
    start: Callable[[], Any], threads: Threads, handed: asyncio.Queue[Any]
) -> AsyncGenerator[Any, None]:
    """What a method streams, all of it by one thread: a lock or a connection is that thread's."""
    loop = asyncio.get_running_loop()
    room = threading.Semaphore(_AHEAD_MAX)
    left = threading.Event()

    def take(response: Any) -> None:
        if not left.is_set():
            handed.put_nowait(response)

    def hand_over(response: Any) -> bool:
        room.acquire()
        loop.call_soon_threadsafe(take, response)
        return not left.is_set()

    def end(giving: asyncio.Future[Any]) -> None:
        take(_END)
        if not giving.cancelled():
            giving.exception()  # seen, should nobody wait for it any more

    giving = asyncio.ensure_future(threads.run(_give, start, hand_over))
    giving.add_done_callback(end)
    taken = 0
    try:
        while (response := await handed.get()) is not _END:
            taken = 1
            yield response
            taken = 0
            handed.task_done()
            room.release()
        if (hidden := giving.result()) is not None:
            async for response in hidden:
                yield response
    finally:
        left.set()
        room.release()
        for _ in range(taken + handed.qsize()):  # the method may wait until all are written
            handed.task_done()


def _give(start: Callable[[], Any], hand_over: Callable[[Any], bool]) -> AsyncIterator[Any] | None:
    """In a thread: hand over each response, until nobody wants more."""
    responses = start()
    if isinstance(responses, AsyncIterator):  # a decorator hid that the method is async
        return responses
    each = iter(responses)
    try:
        for response in each:
            if not hand_over(response):
                break
    finally:
        close: Callable[[], object] | None = getattr(each, "close", None)
        if close is not None:  # a generator may have something to let go of
            close()
    return None


def _given(method: Method, request: Any, context: SyncContext) -> Any:
    return _Requests(request, context) if method.request_streaming else request


class _Requests(Iterator[Any]):
    """The requests of a stream, for a thread that waits for each."""

    def __init__(self, requests: AsyncIterator[Any], context: SyncContext) -> None:
        self._requests = requests
        self._context = context
        self._loop = asyncio.get_running_loop()

    def __next__(self) -> Any:
        request = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        if request is _END:
            raise StopIteration
        return request

    async def _next(self) -> Any:
        request = await anext(self._requests, _END)
        if request is _END and await self._is_cut_off():
            raise grpc.RpcError("the caller left in the middle of its requests")
        return request

    async def _is_cut_off(self) -> bool:
        """To grpc, requests that break off end like all others; that the call is over, it tells next."""
        await asyncio.sleep(_CUT_OFF_S)
        return not self._context.is_active()


class SyncContext(grpc.ServicerContext):
    """The context of a call, for a thread; entered while the call lasts."""

    def __init__(
        self, context: Context, written: Callable[[], Coroutine[Any, Any, None]] | None = None
    ) -> None:
        """`written` waits until all that the method has streamed so far is on its way."""
        self._context = context
        self._written = written
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

    def _wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        with contextlib.suppress(RuntimeError):
            if asyncio.get_running_loop() is self._loop:  # an async method, hidden by a decorator
                return coroutine  # which it awaits
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def is_active(self) -> bool:
        return self._active

    def time_remaining(self) -> float:
        left_s = self._context.time_remaining()
        return _NEVER_S if left_s is None else left_s

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

    def send_initial_metadata(self, initial_metadata: Any) -> Any:
        return self._wait_for(self._send_initial_metadata(initial_metadata))

    async def _send_initial_metadata(self, metadata: Any) -> None:
        await self._context.send_initial_metadata(_pairs(metadata))

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._context.set_trailing_metadata(_pairs(trailing_metadata))

    def trailing_metadata(self) -> Any:
        return self._context.trailing_metadata()

    def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> Any:
        return self._wait_for(self._abort_after_all(code, details, trailing_metadata))

    def abort_with_status(self, status: grpc.Status) -> Any:
        return self.abort(status.code, status.details, status.trailing_metadata or ())

    async def _abort_after_all(self, code: grpc.StatusCode, details: str, metadata: Any) -> None:
        if self._written is not None:
            await self._written()
        await self._abort(code, details, metadata)

    async def _abort(self, code: grpc.StatusCode, details: str, metadata: Any) -> None:
        if code is grpc.StatusCode.OK:  # as grpc.server has it
            code, details = grpc.StatusCode.UNKNOWN, ""
        await self._context.abort(_as_server_has(code), _text(details), _pairs(metadata))

    def set_code(self, code: grpc.StatusCode) -> None:
        self._context.set_code(grpc.StatusCode.OK if code is None else _as_server_has(code))

    def set_details(self, details: str) -> None:
        self._context.set_details(_text(details))

    def code(self) -> Any:
        return self._context.code()

    def details(self) -> Any:
        return self._context.details()


def _pairs(metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
    """As grpc.server takes it: any pairs, or None."""
    return tuple((key, value) for key, value in metadata or ())


def _text(details: Any) -> str:
    """As grpc.server takes it, which sends bytes as they are."""
    return details.decode("utf-8", "replace") if isinstance(details, bytes) else details


def _as_server_has(code: object) -> grpc.StatusCode:
    """As grpc.server has it: a number is no code, though grpc.aio takes it."""
    if isinstance(code, grpc.StatusCode):
        return code
    _log.warning(
        "a method ends with %r, which is no grpc.StatusCode: its caller gets UNKNOWN", code
    )
    return grpc.StatusCode.UNKNOWN
