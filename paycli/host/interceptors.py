"""What stands around the calls of every method, so that no method has to think of it.

An interceptor is applied once to each method, not to each call as grpc's own: it makes a handler of a
handler, and what it puts around the behaviour runs with each call.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import grpc

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Any]
Handler = Any  # grpc.RpcMethodHandler, whose type parameters exist in its stubs only

_WORD: Final = {False: "unary", True: "stream"}


class Method(NamedTuple):
    """A method of a service, taken apart. `name` is its path, as in /package.Service/Method.

    `behaviour` is a coroutine function, or an async generator function when it `yields`: a method
    that streams its responses may do either. `read` and `write` are the way to messages and back;
    None leaves the bytes as they are.
    """

    name: str
    request_streaming: bool
    response_streaming: bool
    behaviour: Behaviour
    read: Callable[[bytes], Any] | None
    write: Callable[[Any], bytes] | None

    @property
    def yields(self) -> bool:
        """Whether the behaviour is an async generator."""
        return inspect.isasyncgenfunction(self.behaviour)


Interceptor = Callable[[Method], Method]


def status_of(code: object) -> grpc.StatusCode:
    """What grpc.aio makes of a code that a method gives: it takes numbers, and UNKNOWN for anything else."""
    if isinstance(code, grpc.StatusCode):
        return code
    if code is None:
        return grpc.StatusCode.OK
    return next(
        (each for each in grpc.StatusCode if each.value[0] == code), grpc.StatusCode.UNKNOWN
    )


class Interceptors(grpc.aio.ServerInterceptor):
    """Puts interceptors around all methods of a server."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._around: list[Interceptor] = []

    def add(self, interceptors: Sequence[Interceptor]) -> None:
        """Put them, the first outermost, within those that are there. Before the first call."""
        self._around += interceptors

    def enclose(self, interceptor: Interceptor) -> None:
        """Put it around those that are there. Before the first call."""
        self._around.insert(0, interceptor)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler with everything around it."""
        name = handler_call_details.method
        made = self._handlers.get(name)
        if made is None:
            handler = await continuation(handler_call_details)
            if handler is None:  # there is no such method
                return None
            method = _taken_apart(name, handler)
            for interceptor in reversed(self._around):
                method = interceptor(method)
            made = self._handlers[name] = _put_together(method)
        return made


def _taken_apart(name: str, handler: Any) -> Method:
    return Method(
        name,
        handler.request_streaming,
        handler.response_streaming,
        getattr(handler, _kind(handler)),
        handler.request_deserializer,
        handler.response_serializer,
    )


def _put_together(method: Method) -> Handler:
    make: Any = getattr(grpc, f"{_kind(method)}_rpc_method_handler")
    handler: Handler = make(method.behaviour, method.read, method.write)
    return handler


def _kind(method: Any) -> str:
    return f"{_WORD[method.request_streaming]}_{_WORD[method.response_streaming]}"
