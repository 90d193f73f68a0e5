"""The type stub of a proto's gRPC code (`X_pb2_grpc.pyi`).

One class of stub serves both kinds of channel. It is generic over its channel, which checkers infer
from the call: `await` is needed exactly on an asyncio channel. `ShopStub` in an annotation means
the synchronous one, `ShopStub[grpc.aio.Channel]` the other.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from paycli.toolchain.protos.descriptors import Method, ProtoFile, Service
from paycli.toolchain.protos.python_names import python_name
from paycli.toolchain.stubs.comments import docstring_of
from paycli.toolchain.stubs.names import Stub, Types, writable

_CHANNEL: Final = """\
{channel} = {extensions}.TypeVar("{channel}", {grpc}.Channel, {aio}.Channel, default={grpc}.Channel)
{request} = {typing}.TypeVar("{request}")
{response} = {typing}.TypeVar("{response}")

@{typing}.type_check_only
class {stub}({typing}.Generic[{channel}]):
    def __init__(self, channel: {channel}) -> None: ...
"""
_CALL: Final = """\
@{typing}.type_check_only
class {call}({typing}.Generic[{request}, {response}]):
    @{typing}.overload
    def __get__(
        self, stub: {stub}[{grpc}.Channel], owner: object
    ) -> {grpc}.{arity}MultiCallable[{request}, {response}]: ...
    @{typing}.overload
    def __get__(
        self, stub: {stub}[{aio}.Channel], owner: object
    ) -> {aio}.{arity}MultiCallable[{request}, {response}]: ...
"""
# A plain and an asyncio iterator in one, so that a servicer may ask for either.
_REQUESTS: Final = """\
@{typing}.type_check_only
class {requests}(
    {abc}.Iterator[{request}], {abc}.AsyncIterator[{request}], metaclass={meta}.ABCMeta
): ...
"""
_OPTIONS: Final = """\
    target: {str},
    options: {abc}.Sequence[{tuple}[{str}, {typing}.Any]] = ...,
    channel_credentials: {grpc}.ChannelCredentials | None = ...,
    call_credentials: {grpc}.CallCredentials | None = ...,
    insecure: {bool} = ...,
    compression: {grpc}.Compression | None = ...,
    wait_for_ready: {bool} | None = ...,
    timeout: {float} | None = ...,
    metadata: {abc}.Sequence[{tuple}[{str}, {str} | {bytes}]] | None = ...,
"""


def service_stub(file: ProtoFile, types: Types, generated: Collection[str]) -> str:
    """The stub of one of the `generated` files; little for one without services."""
    taken = {python_name(name) for service in file.services for name in service.methods}
    taken.update(python_name(service.name) for service in file.services)
    stub = Stub(file.name, types, generated, taken, declares_types=False)
    for version in ("GRPC_GENERATED_VERSION", "GRPC_VERSION"):
        stub.write(f"{version}: {stub.builtin('str')}", "")
    if file.services:
        writer = _ServiceStub(stub, file)
        for service in file.services:
            writer.write_service(service)
    return stub.text()


def _arity(method: Method) -> str:
    """`UnaryStream` and the like."""
    kinds = (method.proto.client_streaming, method.proto.server_streaming)
    return "".join("Stream" if streaming else "Unary" for streaming in kinds)


class _ServiceStub:
    """Writes the services of one file."""

    def __init__(self, stub: Stub, file: ProtoFile) -> None:
        self._stub = stub
        modules = {
            "abc": "collections.abc",
            "aio": "grpc.aio",
            "extensions": "typing_extensions",
            "grpc": "grpc",
            "typing": "typing",
        }
        names = ("str", "bool", "bytes", "float", "tuple")
        helpers = ("Channel", "Request", "Response", "Stub", "Requests")
        self._names = (
            {key: stub.module(module) for key, module in modules.items()}
            | {name: stub.builtin(name) for name in names}
            | {helper.lower(): stub.private(helper) for helper in helpers}
        )
        stub.declare(_CHANNEL.format(**self._names))
        methods = [method for service in file.services for method in service.methods.values()]
        for arity in sorted({_arity(method) for method in methods}):
            call = stub.private(arity)
            stub.declare(_CALL.format(**self._names, call=call, arity=arity))
        if any(method.proto.client_streaming for method in methods):
            stub.declare(_REQUESTS.format(**self._names, meta=stub.module("abc")))

    def write_service(self, service: Service) -> None:
        """The stub, the servicer, its registration, and protoc's experimental class of calls."""
        methods = [
            (method, docstring_of(method))
            for method in service.methods.values()
            if writable(python_name(method.name))
        ]
        text = docstring_of(service)
        names, write = self._names, self._stub.write
        self._class(
            f"{service.name}Stub({names['stub']}[{names['channel']}])", text, empty=not methods
        )
        for method, said in methods:
            call = f"{self._stub.private(_arity(method))}[{', '.join(self._messages(method))}]"
            write(f"{python_name(method.name)}: {call}", "    ")
            if said:
                write(said, "    ")
        self._class(f"{service.name}Servicer", text, empty=not methods)
        for method, said in methods:
            self._handler(method, said)
        write(
            f"\ndef add_{service.name}Servicer_to_server(\n"
            f"    servicer: {service.name}Servicer, server: {names['grpc']}.Server | {names['aio']}.Server\n"
            ") -> None: ...",
            "",
        )
        if writable(python_name(service.name)):
            self._class(python_name(service.name), text, empty=not methods)
            for method, said in methods:
                self._experimental_call(method, said)

    def _class(self, head: str, text: str, *, empty: bool) -> None:
        self._stub.write(f"\nclass {head}:", "")
        if text or empty:
            self._stub.write(text or "...", "    ")

    def _messages(self, method: Method) -> tuple[str, str]:
        """The types of request and response."""
        request = self._stub.message_type(method.proto.input_type, ())
        return request, self._stub.message_type(method.proto.output_type, ())

    def _handler(self, method: Method, said: str) -> None:
        """A method that a plain or an asyncio one may override, with a context of either kind."""
        names = self._names
        abc, (request, response) = names["abc"], self._messages(method)
        given = f"request: {request}"
        if method.proto.client_streaming:
            given = f"request_iterator: {names['requests']}[{request}]"
        answers = [response, f"{abc}.Awaitable[{response}]"]
        if method.proto.server_streaming:
            answers = [f"{abc}.Iterator[{response}]", f"{abc}.AsyncIterator[{response}]"]
            answers.append(f"{abc}.Awaitable[None]")  # answers through context.write()
        arguments = f"self, {given}, context: {names['typing']}.Any, /"
        name = python_name(method.name)
        self._function(f"def {name}({arguments}) -> {' | '.join(answers)}:", said)

    def _experimental_call(self, method: Method, said: str) -> None:
        names = self._names
        request, response = self._messages(method)
        given = f"request: {request}"
        if method.proto.client_streaming:
            given = f"request_iterator: {names['abc']}.Iterator[{request}]"
        if method.proto.server_streaming:
            response = f"{names['abc']}.Iterator[{response}]"
        self._stub.write(f"@{self._stub.builtin('staticmethod')}", "    ")
        options = _OPTIONS.format(**names)
        name = python_name(method.name)
        self._function(f"def {name}(\n    {given},\n{options}) -> {response}:", said)

    def _function(self, head: str, said: str) -> None:
        self._stub.write(head + ("" if said else " ..."), "    ")
        if said:
            self._stub.write(said, "        ")
