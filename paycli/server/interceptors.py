"""What stands around every call of every service, so that no method has to think of it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, NoReturn

import grpc

from paycli.errors import PaymentError, ServerFault
from paycli.server.bounds import bounded
from paycli.server.status import abort

_log = logging.getLogger(__name__)

_Context = grpc.aio.ServicerContext[Any, Any]
_Behaviour = Callable[[Any, _Context], Any]
_Write = Callable[[Any], Any]
_WORD: Final = {False: "unary", True: "stream"}


class CallGuard(grpc.aio.ServerInterceptor):
    """Refuses what is out of bounds, turns exceptions into our errors, counts calls in flight.

    Streams are not counted: they have no end that a stop could wait for.
    """

    def __init__(self) -> None:
        self._guarded: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self.in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Wait until no call is in flight."""
        await self._idle.wait()

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The method's handler with everything around it; made once a method."""
        method = handler_call_details.method
        guarded = self._guarded.get(method)
        if guarded is None:
            handler = await continuation(handler_call_details)
            if handler is None:  # there is no such method
                return None
            guarded = self._guarded[method] = self._guard(handler, method)
        return guarded

    def _guard(self, handler: Any, method: str) -> Any:
        kind = f"{_WORD[handler.request_streaming]}_{_WORD[handler.response_streaming]}"
        make: Any = getattr(grpc, f"{kind}_rpc_method_handler")
        behaviour: _Behaviour = getattr(handler, kind)
        read, write = bounded(handler.request_deserializer), handler.response_serializer
        if handler.request_streaming:  # each is read by the method, and refused there
            read = _raising(read)
        if inspect.isasyncgenfunction(behaviour):
            return make(_stream(behaviour, method, write), read)
        if handler.response_streaming:  # it writes to its context
            return make(_unary(behaviour, method, lambda _: None), read, write)
        return make(self._counted(_unary(behaviour, method, write)), read)

    def _counted(self, behaviour: _Behaviour) -> _Behaviour:
        async def call(request: Any, context: _Context) -> Any:
            self.in_flight += 1
            self._idle.clear()
            try:
                return await behaviour(request, context)
            finally:
                self.in_flight -= 1
                if not self.in_flight:
                    self._idle.set()

        return call


def _unary(behaviour: _Behaviour, method: str, write: _Write) -> _Behaviour:
    async def answer(request: Any, context: _Context) -> Any:
        try:
            if isinstance(request, PaymentError):
                await abort(context, request)
            return write(await behaviour(request, context))
        except Exception as problem:  # noqa: BLE001 - all of them end here
            await _fail(context, method, problem)

    return answer


def _stream(behaviour: _Behaviour, method: str, write: _Write) -> _Behaviour:
    async def answer(request: Any, context: _Context) -> AsyncIterator[Any]:
        try:
            if isinstance(request, PaymentError):
                await abort(context, request)
            async with aclosing(behaviour(request, context)) as responses:
                async for response in responses:
                    yield write(response)
        except Exception as problem:  # noqa: BLE001 - all of them end here
            await _fail(context, method, problem)

    return answer


def _raising(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def read_next(raw: bytes) -> Any:
        request = read(raw)
        if isinstance(request, PaymentError):
            raise request
        return request

    return read_next


async def _fail(context: _Context, method: str, problem: Exception) -> NoReturn:
    """End the call with an error of ours; what is no rule's no is a fault, told in the log alone."""
    if isinstance(problem, grpc.aio.AbortError):
        raise problem
    if not isinstance(problem, PaymentError):
        fault = ServerFault(secrets.token_hex(6))
        _log.error("%s failed; incident %s", method, fault.incident, exc_info=problem)
        problem = fault
    await abort(context, problem)
