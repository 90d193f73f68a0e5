"""Rules that compare two versions of a service and of its methods."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import MethodDescriptorProto, MethodOptions

from paycli.toolchain.breaking.rules import ALWAYS, IN_SOURCE, METHODS, SERVICES, broken
from paycli.toolchain.protos.descriptors import Method, Service
from paycli.toolchain.rules.rule import Complaints

_INPUT: Final = (MethodDescriptorProto.INPUT_TYPE_FIELD_NUMBER,)
_OUTPUT: Final = (MethodDescriptorProto.OUTPUT_TYPE_FIELD_NUMBER,)
_IDEMPOTENCY: Final = (
    MethodDescriptorProto.OPTIONS_FIELD_NUMBER,
    MethodOptions.IDEMPOTENCY_LEVEL_FIELD_NUMBER,
)


@SERVICES.rule("RPC_NO_DELETE", *IN_SOURCE)
def rpc_no_delete(old: Service, new: Service) -> Complaints:
    """Methods stay."""
    for name, method in old.methods.items():
        if name not in new.methods:
            effect = "a client that calls it is answered UNIMPLEMENTED"
            yield broken(new.at(), f"{method} was deleted", effect)


@METHODS.rule("RPC_SAME_REQUEST_TYPE", *ALWAYS)
def rpc_same_request_type(old: Method, new: Method) -> Complaints:
    """What a client sends is read as the type that it was written as."""
    before, after = (method.proto.input_type.removeprefix(".") for method in (old, new))
    if before != after:
        yield broken(
            new.at(*_INPUT),
            f'{new} changed its request from "{before}" to "{after}"',
            "a client's request is read as another message than it wrote",
        )


@METHODS.rule("RPC_SAME_RESPONSE_TYPE", *ALWAYS)
def rpc_same_response_type(old: Method, new: Method) -> Complaints:
    """What a client reads was written as the type that it expects."""
    before, after = (method.proto.output_type.removeprefix(".") for method in (old, new))
    if before != after:
        yield broken(
            new.at(*_OUTPUT),
            f'{new} changed its response from "{before}" to "{after}"',
            "a client reads the answer as another message than it is",
        )


@METHODS.rule("RPC_SAME_CLIENT_STREAMING", *ALWAYS)
def rpc_same_client_streaming(old: Method, new: Method) -> Complaints:
    """One request stays one, many stay many."""
    before, after = (_count(method.proto.client_streaming) for method in (old, new))
    if before != after:
        yield broken(
            new.at(),
            f"{new} changed its request from {before} to {after}",
            "a client's call is refused, or waits for messages that never come",
        )


@METHODS.rule("RPC_SAME_SERVER_STREAMING", *ALWAYS)
def rpc_same_server_streaming(old: Method, new: Method) -> Complaints:
    """One answer stays one, many stay many."""
    before, after = (_count(method.proto.server_streaming) for method in (old, new))
    if before != after:
        yield broken(
            new.at(),
            f"{new} changed its response from {before} to {after}",
            "a client that is answered another number of messages fails the call",
        )


@METHODS.rule("RPC_SAME_IDEMPOTENCY_LEVEL", *ALWAYS)
def rpc_same_idempotency_level(old: Method, new: Method) -> Complaints:
    """Clients retry, and use HTTP GET, by what this option promises."""
    before, after = (method.proto.options.idempotency_level for method in (old, new))
    if before != after:
        name = MethodOptions.IdempotencyLevel.Name
        yield broken(
            new.at(*_IDEMPOTENCY),
            f"{new} changed its idempotency_level from {name(before)} to {name(after)}",
            "a client retries what it must not, or calls by an HTTP method that is refused",
        )


def _count(streaming: bool) -> str:
    return "a stream" if streaming else "one message"
