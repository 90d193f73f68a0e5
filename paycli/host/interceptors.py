"""What stands around the calls of every method, so that no method has to think of it.

An interceptor is applied once to each method, not to each call as grpc's own, for which every call
pays: it makes a method of a method, and what it puts around the behaviour runs with each call.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import grpc

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Any]
Handler = Any  # grpc.RpcMethodHandler, whose type parameters exist in its stubs only

_WORD: Final = {False: "unary", True: "stream"}
_METHODS_MAX: Final = 1000


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


class Interceptors:
    """Puts interceptors around all methods of a server: around each once, at however many addresses."""

    def __init__(self) -> None:
        self._around: list[Interceptor] = []
        self._made: dict[str, tuple[Handler, Handler]] = {}

    def add(self, interceptors: Sequence[Interceptor]) -> None:
        """Put them, the first outermost, within those that are there. Before the first service."""
        self._around += interceptors

    def enclose(self, interceptor: Interceptor) -> None:
        """Put it around those that are there. Before the first service."""
        self._around.insert(0, interceptor)

    def at(self, server: Any, *, registers: bool) -> Any:
        """What takes services for this server: generated code takes it for the server itself.

        Generated code offers each method twice, the second time for servers that register methods.
        """
        return _Enclosing(server, self, registers=registers)

    def enclosed(self, name: str, handler: Handler) -> Handler:
        """The handler of this method with everything around it; made once, as long as it is the same."""
        handler_before, made = self._made.get(name, (None, None))
        if handler == handler_before:
            return made
        method = _taken_apart(name, handler)
        for interceptor in reversed(self._around):
            method = interceptor(method)
        if len(self._made) == _METHODS_MAX:  # some handlers take any name
            self._made.clear()
        made = _put_together(method)
        self._made[name] = handler, made
        return made


class _Enclosing:
    """A server, as far as `add_…_to_server` knows it."""

    def __init__(self, server: Any, interceptors: Interceptors, *, registers: bool) -> None:
        self._server = server
        self._interceptors = interceptors
        self._registers = registers

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers([self._enclosed(each) for each in handlers])

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        if not self._registers:
            return
        enclosed = {
            method: self._interceptors.enclosed(f"/{service}/{method}", handler)
            for method, handler in handlers.items()
        }
        self._server.add_registered_method_handlers(service, enclosed)

    def _enclosed(self, handler: grpc.GenericRpcHandler) -> grpc.GenericRpcHandler:
        kind = _OfService if isinstance(handler, grpc.ServiceRpcHandler) else _Generic
        return kind(handler, self._interceptors)


class _Generic(grpc.GenericRpcHandler):
    """A handler of methods that it alone knows, and that may depend on the metadata of each call."""

    def __init__(self, handler: Any, interceptors: Interceptors) -> None:
        self._handler = handler
        self._interceptors = interceptors

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        handler = self._handler.service(handler_call_details)
        if handler is None:
            return None
        return self._interceptors.enclosed(handler_call_details.method, handler)


class _OfService(_Generic, grpc.ServiceRpcHandler):
    """One of a service that says its name."""

    def service_name(self) -> str:
        name: str = self._handler.service_name()
        return name


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
