"""Calls by descriptor: any method, with requests and responses as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message
from google.protobuf.descriptor import MethodDescriptor

# Imported for what they add to the descriptor pool: the services that can be called by name, and the
# messages that travel inside a google.rpc.Status.
from google.rpc import error_details_pb2 as _details  # noqa: F401 - for the default pool
from grpc_health.v1 import health_pb2 as _health

from paycli.client.forms import as_plain, build
from paycli.client.plain import class_of
from paycli.client.schema import path_of
from paycli.generated import payment_pb2 as _seed
from paycli.generated.paycli.payments.v1 import payments_pb2 as _payments


def service_names() -> list[str]:
    """The full names of the services that can be called by name."""
    files = (_health.DESCRIPTOR, _seed.DESCRIPTOR, _payments.DESCRIPTOR)
    return [service.full_name for file in files for service in file.services_by_name.values()]


def find_method(name: str) -> MethodDescriptor:
    """A method of ours, `package.Service/Method`."""
    return descriptor_pool.Default().FindMethodByName(name.replace("/", "."))


def build_request(method: MethodDescriptor, fields: Mapping[str, Any]) -> message.Message:
    """The request message of plain data. Raises ValueError for fields that do not fit."""
    pool: Any = method.input_type.file.pool
    return build(method.input_type, dict(fields), pool)


def call(
    channel: grpc.Channel,
    method: MethodDescriptor,
    requests: Sequence[message.Message],
    timeout_s: float,
    metadata: tuple[tuple[str, str], ...] = (),
) -> dict[str, Any]:
    """The one response as plain data, every field present. Raises grpc.RpcError as the call does.

    Raises ValueError for one that is no such message, or that JSON does not have.
    """
    if method.client_streaming:
        stream = channel.stream_unary(**_how(method))
        return _plain(method, stream(iter(requests), timeout=timeout_s, metadata=metadata))
    invoke = channel.unary_unary(**_how(method))
    return _plain(method, invoke(requests[0], timeout=timeout_s, metadata=metadata))


@contextmanager
def streamed(
    channel: grpc.Channel,
    method: MethodDescriptor,
    requests: Sequence[message.Message],
    timeout_s: float,
    metadata: tuple[tuple[str, str], ...] = (),
) -> Iterator[Iterator[dict[str, Any]]]:
    """The responses as they come; the call is cancelled where the block leaves it open.

    They raise grpc.RpcError as the call does, and ValueError as `call` does.
    """
    answers: Any
    if method.client_streaming:
        many = channel.stream_stream(**_how(method))
        answers = many(iter(requests), timeout=timeout_s, metadata=metadata)
    else:
        one = channel.unary_stream(**_how(method))
        answers = one(requests[0], timeout=timeout_s, metadata=metadata)
    try:
        yield (_plain(method, each) for each in answers)
    finally:
        answers.cancel()  # of no effect on one that has ended


def _how(method: MethodDescriptor) -> dict[str, Any]:
    return {
        "method": f"/{path_of(method)}",
        "request_serializer": class_of(method.input_type).SerializeToString,
    }


def _plain(method: MethodDescriptor, content: bytes) -> dict[str, Any]:
    kind = method.output_type
    try:
        # Not by gRPC, which makes an INTERNAL of it: an error that the service never gave.
        response = class_of(kind).FromString(content)
    except message.DecodeError as problem:
        raise ValueError(f"the response is no {kind.full_name}") from problem
    pool: Any = kind.file.pool
    try:
        return as_plain(response, pool, always_print_fields_with_no_presence=True)
    except ValueError as problem:
        raise ValueError(f"the response cannot be shown as JSON: {problem}") from problem
