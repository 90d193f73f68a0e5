"""Calls by descriptor: any unary method of a known service, with requests as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import descriptor_pool, json_format, message, message_factory
from google.protobuf.descriptor import MethodDescriptor

# Imported for what they add to the descriptor pool: the services that can be called by name, and the
# messages that travel inside a google.rpc.Status.
from google.rpc import error_details_pb2 as _details  # noqa: F401 - for the default pool
from grpc_health.v1 import health_pb2 as _health

from paycli.generated import payment_pb2 as _seed
from paycli.generated.paycli.payments.v1 import payments_pb2 as _payments


def service_names() -> list[str]:
    """The full names of the services that can be called by name."""
    files = (_health.DESCRIPTOR, _seed.DESCRIPTOR, _payments.DESCRIPTOR)
    return [service.full_name for file in files for service in file.services_by_name.values()]


def find_method(name: str) -> MethodDescriptor:
    """The unary method `package.Service/Method`. Raises ValueError."""
    service_name, slash, method_name = name.rpartition("/")
    if not slash:
        raise ValueError(f"'{name}' is not a method; write package.Service/Method.")
    try:
        service = descriptor_pool.Default().FindServiceByName(service_name)
    except KeyError:
        raise ValueError(f"no known service is called '{service_name}'.") from None
    method: MethodDescriptor | None = service.methods_by_name.get(method_name)
    if method is None:
        known = ", ".join(service.methods_by_name)
        raise ValueError(f"{service_name} has no method '{method_name}'; it has {known}.")
    if method.client_streaming or method.server_streaming:
        raise ValueError(f"{name} is a streaming method; only unary methods can be called.")
    return method


def build_request(method: MethodDescriptor, fields: Mapping[str, Any]) -> message.Message:
    """The request message of plain data. Raises ValueError for fields that do not fit."""
    request = message_factory.GetMessageClass(method.input_type)()
    try:
        return json_format.ParseDict(dict(fields), request)
    except json_format.ParseError as problem:
        raise ValueError(" ".join(str(problem).split())) from problem


def call(
    channel: grpc.Channel,
    method: MethodDescriptor,
    request: message.Message,
    timeout_s: float,
    metadata: tuple[tuple[str, str], ...] = (),
) -> dict[str, Any]:
    """The response as plain data, every field present. Raises grpc.RpcError as the call does."""
    response_class = message_factory.GetMessageClass(method.output_type)
    invoke = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=response_class.FromString,
    )
    response = invoke(request, timeout=timeout_s, metadata=metadata)
    return json_format.MessageToDict(
        response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
