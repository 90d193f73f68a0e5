"""Server reflection under both its names: grpc.reflection.v1 and the older v1alpha.

Both have the same messages on the wire, so one servicer answers both. grpcio-reflection ships
v1alpha alone; the descriptors of v1 are made of it, for clients that ask what v1 itself is.

It is loaded when somebody asks first: most servers start more often than anybody does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import grpc

V1: Final = "grpc.reflection.v1.ServerReflection"
V1ALPHA: Final = "grpc.reflection.v1alpha.ServerReflection"

_METHODS: Final = tuple(f"/{each}/ServerReflectionInfo" for each in (V1, V1ALPHA))


def add_to(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """Let the server say what these services, and reflection, look like."""
    server.add_generic_rpc_handlers((_Reflection((*services, V1, V1ALPHA)),))


class _Reflection(grpc.GenericRpcHandler):
    def __init__(self, services: Sequence[str]) -> None:
        self._services = services

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Asked once for each method: the host keeps what it gets."""
        return _handler(self._services) if handler_call_details.method in _METHODS else None


def _handler(services: Sequence[str]) -> Any:
    from grpc_reflection.v1alpha import reflection, reflection_pb2

    _add_v1_descriptors()
    return grpc.stream_stream_rpc_method_handler(
        reflection.aio.ReflectionServicer(services).ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )


def _add_v1_descriptors() -> None:
    from google.protobuf import descriptor_pool, text_format
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from grpc_reflection.v1alpha import reflection_pb2

    pool = descriptor_pool.Default()
    try:
        pool.FindServiceByName(V1)
    except KeyError:
        alpha = FileDescriptorProto()
        reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
        text = text_format.MessageToString(alpha).replace("v1alpha", "v1")
        pool.AddSerializedFile(text_format.Parse(text, FileDescriptorProto()).SerializeToString())
