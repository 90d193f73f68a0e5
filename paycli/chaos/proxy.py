"""A proxy before any gRPC server, that knows no protos: bytes in, bytes out, and faults between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError

from paycli.chaos.dice import Dice, Throw
from paycli.chaos.injection import UNTOUCHED, Drop, before_work
from paycli.chaos.plan import Kind, Subject
from paycli.chaos.requests import Requests
from paycli.chaos.subjects import subjects_of
from paycli.host.app import App, Control, Service
from paycli.host.interceptors import Context, Interceptor

Header = tuple[str, str | bytes]

_HALF_CLOSE_S: Final = 0.2  # a request that is to be delivered twice has to be the only one
_OF_THE_HOP: Final = ("user-agent", "grpc-")  # each connection has its own


class Proxy:
    """Calls of a server through a channel, with what its dice say done to them."""

    def __init__(
        self,
        dice: Dice,
        drop: Drop,
        requests: Requests,
        headers: Sequence[Header],
        channel: grpc.aio.Channel,
    ) -> None:
        """`requests` are the messages in which faults may look; `headers` go with each call."""
        self._channel = channel
        self._dice = dice
        self._drop = drop
        self._requests = requests
        self._headers = headers

    def throw_of(self, method: str) -> Throw | None:
        """What decides for the calls of a method; None for one that is left alone."""
        return None if method.startswith(UNTOUCHED) else self._dice.for_method(method, list(Kind))

    async def serve(
        self, method: str, throw: Throw | None, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        """One call. Raises PaymentError for a fault that is an answer."""
        fault = None
        if throw is not None:
            subjects: Sequence[Subject] = ()
            if throw.is_about_requests and method in self._requests:
                subjects, requests = await _looked_into(requests, self._requests[method])
            fault = throw(lambda: subjects)
        await before_work(method, fault)
        kind = fault.kind if fault is not None else None
        if kind is Kind.DUPLICATE:
            requests = await self._deliver_unheard(method, requests, context)
        pause_s = fault.seconds if fault is not None and kind is Kind.SLOW_STREAM else 0.0
        is_first = True
        before_answer = partial(self._drop, context.peer()) if kind is Kind.DROP else _nothing
        async for response in self._forward(method, requests, context, before_answer):
            if pause_s and not is_first:
                await asyncio.sleep(pause_s)
            is_first = False
            yield response

    async def _forward(
        self,
        method: str,
        requests: AsyncIterator[bytes],
        context: Context,
        before_answer: Callable[[], None],
    ) -> AsyncIterator[bytes]:
        """What the server answers; the call ends as there."""
        call = self._call(method, requests, context)
        try:
            initial = await call.initial_metadata()
            if initial or not call.done():  # an answer that is only a status has none to send
                await context.send_initial_metadata(tuple(initial))
            async for response in call:
                before_answer()
                yield response
        except grpc.aio.AioRpcError as ended:
            before_answer()
            trailing = tuple(ended.trailing_metadata() or ())
            await context.abort(ended.code(), ended.details() or "", trailing)
        finally:
            call.cancel()  # of no effect on one that has ended
        before_answer()
        context.set_trailing_metadata(tuple(await call.trailing_metadata()))

    async def _deliver_unheard(
        self, method: str, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        """Deliver a request that is the only one, and return it to be delivered again."""
        request = await anext(requests, None)
        if request is None:
            return requests
        following = asyncio.ensure_future(anext(requests, None))
        await asyncio.wait((following,), timeout=_HALF_CLOSE_S)
        if following.done() and following.result() is None:
            call = self._call(method, _only(request), context)
            with suppress(grpc.aio.AioRpcError):  # as little heard as an answer
                await anext(aiter(call), None)  # a stream may go on for ever
            call.cancel()
            return _only(request)
        return _resumed(request, following, requests)

    def _call(self, method: str, requests: AsyncIterator[bytes], context: Context) -> Any:
        own = {key for key, _ in self._headers}  # such as the proxy's token, not the caller's
        sent = [
            (key, value)
            for key, value in context.invocation_metadata() or ()
            if not key.startswith(_OF_THE_HOP) and key not in own
        ]
        begin: Any = self._channel.stream_stream(method)
        call = begin(timeout=context.time_remaining(), metadata=(*sent, *self._headers))
        sending = asyncio.ensure_future(_send(requests, call))
        call.add_done_callback(lambda _: sending.cancel())
        return call


class _AnyMethod(grpc.GenericRpcHandler):
    """Every method there may be, each as a stream of requests and one of responses."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Asked once for each method: the host keeps what it gets."""
        method = handler_call_details.method
        throw = self._proxy.throw_of(method)

        async def serve(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            async for response in self._proxy.serve(method, throw, requests, context):
                yield response

        return grpc.stream_stream_rpc_method_handler(serve)


class ProxyApp:
    """A `host.app.App`."""

    interceptors: Sequence[Interceptor] = ()

    def __init__(self, proxy: Proxy) -> None:
        self.services = [Service("", partial(_add_to, proxy))]

    def drain(self) -> None:
        """Streams end with those of the server, or with the drain timeout."""


@asynccontextmanager
async def open_proxy(
    connect: Callable[[], grpc.aio.Channel],
    make: Callable[[grpc.aio.Channel], Proxy],
    _: Control,
) -> AsyncIterator[App]:
    """The app of a proxy with a channel of its own, which is open until the block ends."""
    async with connect() as channel:
        yield ProxyApp(make(channel))


def _nothing() -> None:
    pass


def _add_to(proxy: Proxy, server: grpc.aio.Server) -> None:
    server.add_generic_rpc_handlers((_AnyMethod(proxy),))


async def _send(requests: AsyncIterator[bytes], call: Any) -> None:
    """Send them as long as the server takes any.

    What grpc.aio offers for it puts INTERNAL in the place of a status that comes before the last request.
    """
    raw = call._cython_call  # noqa: SLF001 - there is no public way to it
    try:
        await call.wait_for_connection()
        async for request in requests:
            await raw.send_serialized_message(request)
        await raw.send_receive_close()
    except (grpc.aio.AioRpcError, grpc.aio.InternalError):
        pass  # it has ended, and its status says why
    except Exception:
        call.cancel()
        raise


async def _looked_into(
    requests: AsyncIterator[bytes], kind: Any
) -> tuple[Sequence[Subject], AsyncIterator[bytes]]:
    """What the one request is about, and the requests as they were."""
    request = await anext(requests, None)
    if request is None:
        return (), requests
    try:
        return subjects_of(kind.FromString(request)), _only(request)
    except DecodeError:  # the server will say so
        return (), _only(request)


async def _only(request: bytes) -> AsyncIterator[bytes]:
    yield request


async def _resumed(
    request: bytes, following: asyncio.Future[bytes | None], rest: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    yield request
    second = await following
    if second is not None:
        yield second
        async for each in rest:
            yield each
