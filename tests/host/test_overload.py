"""More calls than a server can do well are refused at once, and the rest goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from paycli.host.calls_in_flight import CallsInFlight
from paycli.host.health import HealthServicer
from paycli.host.interceptors import Interceptors
from paycli.host.protection.admission import admitted
from paycli.host.transport.server import Limits
from tests.conftest import StartServer, run_paycli
from tests.transports import make_server

LIMIT: Final = 5
READ: Final[list[bytes]] = []
Context = grpc.aio.ServicerContext[bytes, bytes]


def read(raw: bytes) -> bytes:
    READ.append(raw)
    return raw


class Slow:
    """Methods that hang until they are let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.entered = asyncio.Semaphore(0)

    async def one(self, request: bytes, context: Context) -> bytes:
        self.entered.release()
        await self.go.wait()
        return request

    async def many(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        yield request
        await self.go.wait()

    async def writes(self, request: bytes, context: Context) -> None:
        await context.write(request)
        await self.go.wait()


@asynccontextmanager
async def overloaded(slow: Slow) -> AsyncIterator[Any]:
    interceptors, calls = Interceptors(), CallsInFlight()
    interceptors.add((calls, admitted(calls, LIMIT)))
    server = make_server(interceptors)
    unary: Any = grpc.unary_unary_rpc_method_handler(slow.one, request_deserializer=read)
    methods: dict[str, Any] = {
        "One": unary,
        "Many": grpc.unary_stream_rpc_method_handler(slow.many),
        "Writes": grpc.unary_stream_rpc_method_handler(slow.writes),
    }
    generic = grpc.method_handlers_generic_handler("slow.Slow", methods)
    server.add(lambda each: each.add_generic_rpc_handlers((generic,)))
    health = HealthServicer()
    server.add(partial(health_pb2_grpc.add_HealthServicer_to_server, health))
    await health.begin(())
    (address,) = server.bind("127.0.0.1", 0)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield channel
    finally:
        slow.go.set()
        await server.stop(5)


async def refusal_of(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await asyncio.wait_for(call, 20)
    return raised.value


def test_what_is_too_much_is_refused_unread_and_the_rest_is_answered() -> None:
    async def run() -> None:
        slow = Slow()
        READ.clear()
        async with overloaded(slow) as channel:
            one = channel.unary_unary("/slow.Slow/One")
            taken = [asyncio.ensure_future(_answer(one(b"taken"))) for _ in range(LIMIT)]
            for _ in range(LIMIT):
                await asyncio.wait_for(slow.entered.acquire(), 20)
            refused = await refusal_of(one(b"refused"))
            assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            trailing = dict(refused.trailing_metadata())
            assert trailing["grpc-retry-pushback-ms"] == "500"
            status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
            info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
            assert status.details[0].Unpack(info)
            assert status.details[1].Unpack(retry)
            assert (info.reason, retry.retry_delay.ToMilliseconds()) == ("OVERLOADED", 500)
            check = health_pb2_grpc.HealthStub(channel).Check
            assert (await check(health_pb2.HealthCheckRequest())).status == 1
            slow.go.set()
            assert await asyncio.gather(*taken) == [b"taken"] * LIMIT
            assert await one(b"again") == b"again"
        assert READ == [b"taken"] * LIMIT + [b"again"]

    asyncio.run(run())


@pytest.mark.parametrize("method", ["Many", "Writes"])
def test_streams_have_a_limit_of_their_own(method: str) -> None:
    async def run() -> None:
        slow = Slow()
        async with overloaded(slow) as channel:
            open_stream = channel.unary_stream(f"/slow.Slow/{method}")
            streams = [open_stream(b"x") for _ in range(LIMIT)]
            assert [await each.read() for each in streams] == [b"x"] * LIMIT
            refused = await refusal_of(open_stream(b"x").read())
            assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "5 streams in flight" in str(refused.details())
            one = asyncio.ensure_future(_answer(channel.unary_unary("/slow.Slow/One")(b"taken")))
            await asyncio.wait_for(slow.entered.acquire(), 20)
            slow.go.set()
            assert await one == b"taken"
            for each in streams:
                assert await each.read() is grpc.aio.EOF
            assert await open_stream(b"x").read() == b"x"

    asyncio.run(run())


async def _answer(call: Any) -> Any:
    return await call


def test_connections_beyond_the_limit_are_closed_and_those_before_go_on() -> None:
    async def run() -> None:
        interceptors = Interceptors()
        server = make_server(interceptors, Limits(connections=3))
        (address,) = server.bind("127.0.0.1", 0)
        await server.start()
        host, _, port = address.rpartition(":")
        opened = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        greetings = [await asyncio.wait_for(reader.read(9), 20) for reader, _ in opened]
        assert all(greetings)  # the server's settings
        reader, writer = await asyncio.open_connection(host, int(port))
        assert await asyncio.wait_for(_closed(reader), 20)
        for _, each in (*opened, (reader, writer)):
            each.close()
        await server.stop(0)

    asyncio.run(run())


async def _closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(9) == b""
    except ConnectionError:
        return True


def test_the_limits_are_options(start_server: StartServer) -> None:
    server = start_server("--max-calls", "1", "--max-connections", "5")
    paid = run_paycli("pay", "--amount", "5", "--target", server.target)
    assert paid.returncode == 0, paid.stderr
    assert run_paycli("serve", "--max-calls", "0").returncode == 2
