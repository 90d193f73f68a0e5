"""A server in this process, on a transport by name, with methods of all kinds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple

import grpc

from paycli.host.errors_to_statuses import errors_to_statuses
from paycli.host.interceptors import Interceptors
from paycli.host.observation.calls import Call, observed
from paycli.host.transport.server import Limits, Server
from tests.transports import MAKE_SERVER

Context = grpc.aio.ServicerContext[bytes, bytes]
Code = grpc.StatusCode
SERVICE: Final = "conformance.Every"
MESSAGE_BYTES: Final = 100_000
BINARY: Final = bytes(range(256))
DETAILS: Final = "Zahlung verweigert: 50 % — 円 \n\t ok"


class Seen:
    """What the methods and the observer saw."""

    def __init__(self) -> None:
        self.values: asyncio.Queue[Any] = asyncio.Queue()
        self.ends: asyncio.Queue[Call] = asyncio.Queue()
        self.go = asyncio.Event()
        self.peers: list[str] = []
        self.yielded = 0

    def started(self, call: Call) -> None:
        """As an observer."""
        self.peers.append(call.context.peer())  # afterwards there is no context any more

    def ended(self, call: Call) -> None:
        """As an observer."""
        self.ends.put_nowait(call)

    async def value(self) -> Any:
        return await asyncio.wait_for(self.values.get(), 20)

    async def end(self) -> Call:
        return await asyncio.wait_for(self.ends.get(), 20)


class Every:
    """A servicer of bytes."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    async def one(self, request: bytes, context: Context) -> bytes:
        await self._exchange_metadata(context)
        return request

    async def many(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        await self._exchange_metadata(context)
        for _ in range(int(request)):
            yield request

    async def joins(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        await self._exchange_metadata(context)
        return b",".join([each async for each in requests])

    async def echoes(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        await self._exchange_metadata(context)
        async for each in requests:
            yield each

    async def writes(self, request: bytes, context: Context) -> None:
        for _ in range(3):
            await context.write(request)

    async def length(self, request: bytes, context: Context) -> bytes:
        return str(len(request)).encode()

    async def bytes_of(self, request: bytes, context: Context) -> bytes:
        return bytes(int(request))

    async def remaining(self, request: bytes, context: Context) -> bytes:
        return repr(context.time_remaining()).encode()

    async def waits(self, request: bytes, context: Context) -> bytes:
        self._seen.values.put_nowait("entered")
        try:
            await self._seen.go.wait()
        except asyncio.CancelledError:
            self._seen.values.put_nowait("cancelled")
            raise
        return request

    async def streams_and_waits(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        yield request
        try:
            await self._seen.go.wait()
        except asyncio.CancelledError:
            self._seen.values.put_nowait("cancelled")
            raise

    async def streams_without_end(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        while True:
            yield bytes(50_000)
            self._seen.yielded += 1

    async def aborts(self, request: bytes, context: Context) -> bytes:
        trailers = (("again", "no"), ("again", "never"), ("why-bin", BINARY))
        await context.abort(Code.FAILED_PRECONDITION, DETAILS, trailers)
        raise AssertionError

    async def streams_and_aborts(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        yield request
        await context.abort(Code.DATA_LOSS, DETAILS, (("why-bin", BINARY),))

    async def sets_a_code(self, request: bytes, context: Context) -> bytes:
        context.set_code(Code.ABORTED)
        context.set_details(DETAILS)
        return b"nobody sees this"

    async def sets_odd_details(self, request: bytes, context: Context) -> bytes:
        context.set_details(DETAILS.encode())  # type: ignore[arg-type]
        return request

    async def pushes_back(self, request: bytes, context: Context) -> bytes:
        await context.abort(Code.UNAVAILABLE, "later", (("grpc-retry-pushback-ms", "7"),))
        raise AssertionError

    async def fails(self, request: bytes, context: Context) -> bytes:
        raise RuntimeError("secret")

    async def streams_and_fails(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        yield request
        raise RuntimeError("secret")

    async def sends_bad_metadata(self, request: bytes, context: Context) -> bytes:
        key, _, value = request.decode().partition("=")
        context.set_trailing_metadata(((key, value),))
        return b"ok"

    async def _exchange_metadata(self, context: Context) -> None:
        sent = context.invocation_metadata() or ()
        self._seen.values.put_nowait([(key, value) for key, value in sent])
        await context.send_initial_metadata((("first", "1"), ("first-bin", BINARY)))
        context.set_trailing_metadata((("last", "2"), ("last", "3"), ("last-bin", BINARY)))


KINDS: Final = {
    "many": "unary_stream",
    "writes": "unary_stream",
    "streams_and_waits": "unary_stream",
    "streams_without_end": "unary_stream",
    "streams_and_aborts": "unary_stream",
    "streams_and_fails": "unary_stream",
    "joins": "stream_unary",
    "echoes": "stream_stream",
}
METHODS: Final = [name for name in vars(Every) if not name.startswith("_")]


class Served(NamedTuple):
    """A server, what it saw, and a channel to it."""

    server: Server
    seen: Seen
    address: str
    channel: grpc.aio.Channel

    def call(self, name: str, request: Any = b"x", **options: Any) -> Any:
        """A call of one of the methods, under way."""
        method = getattr(self.channel, KINDS.get(name, "unary_unary"))(f"/{SERVICE}/{name}")
        return method(request, **({"timeout": 30} | options))


def add_methods(servicer: object, server: grpc.aio.Server) -> None:
    """As generated code does."""
    handlers: dict[str, Any] = {
        name: getattr(grpc, f"{KINDS.get(name, 'unary_unary')}_rpc_method_handler")(
            getattr(servicer, name)
        )
        for name in METHODS
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)


@asynccontextmanager
async def served(transport: str) -> AsyncIterator[Served]:
    """A server with its observer and its errors, as `paycli serve` has them."""
    seen, interceptors = Seen(), Interceptors()
    interceptors.add((observed([seen]), errors_to_statuses))
    server = MAKE_SERVER[transport](interceptors, Limits(message_bytes=MESSAGE_BYTES))
    server.add(partial(add_methods, Every(seen)))
    (address,) = server.bind("127.0.0.1", 0)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Served(server, seen, address, channel)
    finally:
        seen.go.set()
        await server.stop(0)


def run(transport: str, test: Callable[[Served], Awaitable[None]]) -> None:
    """With a server of this transport."""

    async def within() -> None:
        async with asyncio.timeout(60), served(transport) as given:
            await test(given)

    asyncio.run(within())


async def status_of(call: Any) -> grpc.StatusCode:
    """How a call ended, as its client heard it, once all is read."""
    if hasattr(call, "read"):
        async for _ in call:
            pass
    code: grpc.StatusCode = await call.code()
    return code


async def failure_of(call: Any) -> grpc.aio.AioRpcError:
    """What ends a call that must fail, all that it answers being read before."""
    try:
        await (call.read() if hasattr(call, "read") else call)
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call did not fail")
