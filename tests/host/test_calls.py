"""Whoever watches calls sees how each really ended: as its client does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
import pytest

from paycli.errors import PaymentNotFound
from paycli.host.errors_to_statuses import errors_to_statuses
from paycli.host.interceptors import Interceptors
from paycli.host.observation.calls import Call, CallObserver, observed
from paycli.host.transport.server import Server
from tests.transports import make_server

Code = grpc.StatusCode
Context = grpc.aio.ServicerContext[bytes, bytes]
SERVICE: Final = "endings.Endings"
LATE_S: Final = 0.3


async def answers(request: bytes, context: Context) -> bytes:
    return request


async def aborts(request: bytes, context: Context) -> bytes:
    await context.abort(Code.OUT_OF_RANGE, "no")
    raise AssertionError


async def sets_a_code(request: bytes, context: Context) -> bytes:
    context.set_code(Code.ABORTED)
    return request


async def refuses(request: bytes, context: Context) -> bytes:
    raise PaymentNotFound("payments/pay_1")


async def fails(request: bytes, context: Context) -> bytes:
    raise RuntimeError("secret")


async def hangs(request: bytes, context: Context) -> bytes:
    await asyncio.sleep(60)
    return request


async def hides_its_cancellation(request: bytes, context: Context) -> bytes:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError as cancelled:
        raise ValueError("secret") from cancelled
    return request


async def streams(request: bytes, context: Context) -> AsyncIterator[bytes]:
    for _ in range(3):
        yield request


async def streams_and_fails(request: bytes, context: Context) -> AsyncIterator[bytes]:
    yield request
    raise KeyError("secret")


async def streams_and_aborts(request: bytes, context: Context) -> AsyncIterator[bytes]:
    yield request
    await context.abort(Code.DATA_LOSS, "no")


async def streams_and_hangs(request: bytes, context: Context) -> AsyncIterator[bytes]:
    yield request
    await asyncio.sleep(60)


async def streams_without_end(request: bytes, context: Context) -> AsyncIterator[bytes]:
    while True:
        yield bytes(100_000)


async def writes(request: bytes, context: Context) -> None:
    await context.write(request)
    await asyncio.sleep(0 if request == b"short" else 60)


async def sums(requests: AsyncIterator[bytes], context: Context) -> bytes:
    return b"".join([each async for each in requests])


async def echoes(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
    async for each in requests:
        yield each


SINGLE = (answers, aborts, sets_a_code, refuses, fails, hangs, hides_its_cancellation)
STREAMS = (
    streams,
    streams_and_fails,
    streams_and_aborts,
    streams_and_hangs,
    streams_without_end,
    writes,
)


class Observer:
    """A `host.observation.calls.CallObserver` that keeps what it saw."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.ends: asyncio.Queue[Call] = asyncio.Queue()

    def started(self, call: Call) -> None:
        self.began.append(call.method.name)

    def ended(self, call: Call) -> None:
        self.ends.put_nowait(call)


class Endings:
    """The server's observer, and a channel to it."""

    def __init__(self, server: Server, observer: Observer, channel: grpc.aio.Channel):
        self.server = server
        self.observer = observer
        self._channel = channel

    def call(self, behaviour: Callable[..., Any], **options: Any) -> Any:
        """A call with one request, under way."""
        kind = "unary_stream" if behaviour in STREAMS else "unary_unary"
        method = getattr(self._channel, kind)(f"/{SERVICE}/{behaviour.__name__}")
        return method(options.pop("request", b"x"), **options)

    def streaming(self, behaviour: Callable[..., Any], requests: AsyncIterator[bytes]) -> Any:
        kind = "stream_stream" if behaviour is echoes else "stream_unary"
        return getattr(self._channel, kind)(f"/{SERVICE}/{behaviour.__name__}")(requests)

    async def end(self) -> Call:
        """The next call that ended."""
        return await asyncio.wait_for(self.observer.ends.get(), 20)


@asynccontextmanager
async def serving(*observers: CallObserver) -> AsyncIterator[Endings]:
    """A server with these methods, and what watches its calls besides these."""
    observer, interceptors = Observer(), Interceptors()
    interceptors.add((observed([*observers, observer]), errors_to_statuses))
    server = make_server(interceptors)
    handlers: dict[str, Any] = {
        **{each.__name__: grpc.unary_unary_rpc_method_handler(each) for each in SINGLE},
        **{each.__name__: grpc.unary_stream_rpc_method_handler(each) for each in STREAMS},
        "sums": grpc.stream_unary_rpc_method_handler(sums),
        "echoes": grpc.stream_stream_rpc_method_handler(echoes),
    }
    generic = grpc.method_handlers_generic_handler(SERVICE, handlers)
    server.add(lambda each: each.add_generic_rpc_handlers((generic,)))
    (address,) = server.bind("127.0.0.1", 0)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Endings(server, observer, channel)
    finally:
        await server.stop(0)


async def ended(call: Any) -> grpc.StatusCode:
    """How a call ended, as its client heard it."""
    if hasattr(call, "read"):  # until all is read, it has not ended
        with contextlib.suppress(grpc.RpcError):
            async for _ in call:
                pass
    code: grpc.StatusCode = await call.code()
    return code


def run(test: Callable[[Endings], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(40), serving() as endings:
            await test(endings)

    asyncio.run(within())


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (answers, Code.OK),
        (aborts, Code.OUT_OF_RANGE),
        (sets_a_code, Code.ABORTED),
        (refuses, Code.NOT_FOUND),
        (fails, Code.INTERNAL),
        (streams, Code.OK),
        (streams_and_fails, Code.INTERNAL),
        (streams_and_aborts, Code.DATA_LOSS),
    ],
)
def test_a_call_that_its_method_ends(behaviour: Callable[..., Any], code: grpc.StatusCode) -> None:
    async def test(endings: Endings) -> None:
        told = await ended(endings.call(behaviour))
        seen = await endings.end()
        assert (told, seen.code) == (code, code)
        assert seen.method.name == f"/{SERVICE}/{behaviour.__name__}"
        assert endings.observer.began == [seen.method.name]
        assert 0 < seen.seconds < 10
        assert endings.observer.ends.empty()

    run(test)


@pytest.mark.parametrize(
    "behaviour",
    [hangs, hides_its_cancellation, streams_and_hangs, streams_without_end, writes],
)
def test_a_call_whose_client_goes_away(behaviour: Callable[..., Any]) -> None:
    async def test(endings: Endings) -> None:
        call = endings.call(behaviour)
        if behaviour in STREAMS:
            await call.read()
        else:
            await asyncio.sleep(LATE_S)
        call.cancel()
        seen = await endings.end()
        if behaviour is hides_its_cancellation:  # it ends before grpc has heard of the cancellation
            assert seen.code in (Code.CANCELLED, Code.INTERNAL)
        else:
            assert seen.code is Code.CANCELLED
        assert seen.seconds < 10

    run(test)


@pytest.mark.parametrize("behaviour", [hangs, streams_and_hangs, writes, streams_without_end])
def test_a_call_whose_deadline_passes(behaviour: Callable[..., Any]) -> None:
    async def test(endings: Endings) -> None:
        began = time.perf_counter()
        call = endings.call(behaviour, timeout=LATE_S)
        if behaviour is streams_without_end:
            await call.read()  # and no more, so that the server waits for the client
        told = await call.code()
        seen = await endings.end()
        assert (told, seen.code) == (Code.DEADLINE_EXCEEDED, Code.DEADLINE_EXCEEDED)
        # The client counts from before it had a connection, which may take it long.
        assert LATE_S / 10 < seen.seconds < time.perf_counter() - began

    run(test)


def test_a_client_that_goes_long_before_its_deadline_has_cancelled() -> None:
    async def test(endings: Endings) -> None:
        call = endings.call(hangs, timeout=30)
        await asyncio.sleep(LATE_S)
        call.cancel()
        assert (await endings.end()).code is Code.CANCELLED

    run(test)


def test_calls_whose_requests_stream() -> None:
    async def requests() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def test(endings: Endings) -> None:
        assert await endings.streaming(sums, requests()) == b"ab"
        assert (await endings.end()).code is Code.OK
        assert [each async for each in endings.streaming(echoes, requests())] == [b"a", b"b"]
        assert (await endings.end()).code is Code.OK

    run(test)


def test_a_method_that_writes_to_its_context() -> None:
    async def test(endings: Endings) -> None:
        assert await ended(endings.call(writes, request=b"short")) is Code.OK
        assert (await endings.end()).code is Code.OK

    run(test)


def test_calls_that_a_stop_cuts_off() -> None:
    async def test(endings: Endings) -> None:
        calls = [endings.call(hangs), endings.call(streams_and_hangs)]
        await asyncio.sleep(LATE_S)
        await endings.server.stop(0)
        assert [(await endings.end()).code for _ in calls] == [Code.CANCELLED] * 2

    run(test)


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        ("order-17", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("two words", False),
        ("", False),
    ],
)
def test_the_request_id_is_the_callers_if_it_is_fit_for_a_log(sent: str, taken: bool) -> None:
    async def test(endings: Endings) -> None:
        await endings.call(answers, metadata=(("x-request-id", sent),))
        seen = await endings.end()
        assert (seen.request_id == sent) is taken
        assert seen.request_id == seen.request_id
        await endings.call(answers)
        assert seen.request_id != (await endings.end()).request_id != ""

    run(test)
