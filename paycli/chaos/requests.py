"""The messages of a server's methods, as its reflection tells, for faults that look into requests."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

Requests = dict[str, type[Message]]  # by the path of the method


def requests_of(channel: grpc.Channel) -> Requests:
    """Of all methods that take one request. Empty when the server does not tell."""
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    try:
        services = database.get_services()
        return {path: kind for each in services for path, kind in _of(pool, each)}
    except (grpc.RpcError, KeyError, TypeError):  # no reflection, or half of it
        return {}


def _of(pool: DescriptorPool, service: str) -> Iterator[tuple[str, type[Message]]]:
    for method in pool.FindServiceByName(service).methods:
        if not method.client_streaming:
            yield f"/{service}/{method.name}", GetMessageClass(method.input_type)
