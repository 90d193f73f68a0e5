"""Servers whose reflection tells what it likes: real gRPC servers, as others get them wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2 as pb

REFLECTION = "grpc.reflection.v1.ServerReflection"
Tell = Callable[[pb.ServerReflectionRequest], Iterable[pb.ServerReflectionResponse]]
Method = Callable[[Iterator[bytes], grpc.ServicerContext], Iterable[bytes]]


@contextmanager
def telling(
    tell: Tell, methods: Mapping[str, Method] | None = None, service: str = "odd.Odd"
) -> Iterator[str]:
    """A server that answers each question so, and has these methods; its address."""

    def info(
        requests: Iterator[pb.ServerReflectionRequest], _: Any
    ) -> Iterator[pb.ServerReflectionResponse]:
        for each in requests:
            yield from tell(each)

    handler = grpc.stream_stream_rpc_method_handler(
        info,
        pb.ServerReflectionRequest.FromString,
        pb.ServerReflectionResponse.SerializeToString,
    )
    offered: dict[str, Any] = {
        name: grpc.stream_stream_rpc_method_handler(method)
        for name, method in (methods or {}).items()
    }
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(REFLECTION, {"ServerReflectionInfo": handler}),
            grpc.method_handlers_generic_handler(service, offered),
        )
    )
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield target
    finally:
        server.stop(None)


def of_files(*files: FileDescriptorProto, services: Iterable[str] = ("odd.Odd",)) -> Tell:
    """Tells these files one by one, by their names; of every symbol, the first one."""
    by_name = {each.name: each for each in files}

    def tell(request: pb.ServerReflectionRequest) -> Iterator[pb.ServerReflectionResponse]:
        answer = pb.ServerReflectionResponse()
        if request.HasField("list_services"):
            for name in services:
                answer.list_services_response.service.add(name=name)
        else:
            wanted = request.file_by_filename or files[0].name
            if wanted in by_name:
                content = by_name[wanted].SerializeToString()
                answer.file_descriptor_response.file_descriptor_proto.append(content)
            else:
                answer.error_response.error_code = 5
                answer.error_response.error_message = f"no {wanted}\nError: is mine"
        yield answer

    return tell


def odd_file(**options: Any) -> FileDescriptorProto:
    """A file with a service of one method, which answers what it is asked."""
    given = {"name": "odd.proto", "package": "odd", "syntax": "proto3", **options}
    file = FileDescriptorProto(**given)
    message = file.message_type.add(name="Ask")
    message.field.add(name="text", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL")
    package = f".{file.package}" if file.package else ""
    service = file.service.add(name="Odd")
    service.method.add(name="Say", input_type=f"{package}.Ask", output_type=f"{package}.Ask")
    return file


def echo(requests: Iterator[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
    """What it is asked."""
    yield from requests
