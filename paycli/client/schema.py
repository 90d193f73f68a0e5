"""What services look like, from whoever tells: the server's reflection, or descriptors at hand.

Each has a descriptor pool of its own: what somebody else calls `payment.proto` never meets ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import grpc
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2

from paycli.client.failures import failure_of
from paycli.errors import InputError, RemoteError

Symbol = ServiceDescriptor | MethodDescriptor | Descriptor | EnumDescriptor

# v1 has the messages of v1alpha; there are servers that know only one of them.
_VERSIONS: Final = ("v1", "v1alpha")


class Schema:
    """Services by their full names, and all that they are made of."""

    def __init__(
        self,
        pool: DescriptorPool,
        services: Iterable[str],
        files: Mapping[str, FileDescriptorProto],
    ) -> None:
        self.pool = pool
        self.services = sorted(services)
        self.files = files
        """As they came, which a pool does not keep: with their comments, if they have any."""

    def service(self, name: str) -> ServiceDescriptor:
        """A service by its full name. Raises InputError."""
        try:
            return self.pool.FindServiceByName(name)
        except (KeyError, TypeError) as problem:  # TypeError: of a file that is not all there
            raise InputError(f"There is no service '{name}'; {self._hint(name)}") from problem

    def method(self, name: str) -> MethodDescriptor:
        """A method: `package.Service/Method`, the same with a dot, or shorter where that is clear.

        Raises InputError.
        """
        wanted = name.strip("/").replace("/", ".")
        service, _, method = wanted.rpartition(".")
        found = [
            each
            for full in self.services
            if not service or full == service or full.endswith(f".{service}")
            for each in self.service(full).methods
            if each.name == method
        ]
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(path_of(each) for each in found)
            raise InputError(f"'{name}' may be any of {listed}; say which.")
        there = [each for full in self.services for each in self.service(full).methods]
        known = [path_of(each) if service else each.name for each in there]
        raise InputError(f"There is no method '{name}'; {_nearest(name, known)}")

    def symbol(self, name: str) -> Symbol:
        """A service, method, message or enum by its full name. Raises InputError."""
        for find in (
            self.pool.FindServiceByName,
            self.pool.FindMessageTypeByName,
            self.pool.FindEnumTypeByName,
        ):
            try:
                found: Symbol = find(name)
            except (KeyError, TypeError):
                continue
            return found
        if "/" in name or name.rpartition(".")[0] in self.services:
            return self.method(name)
        raise InputError(f"Nothing is called '{name}'; {self._hint(name)}")

    def message(self, name: str) -> Descriptor:
        """A message by its full name. Raises InputError."""
        try:
            return self.pool.FindMessageTypeByName(name)
        except (KeyError, TypeError) as problem:
            known = [each for file in self.files.values() for each in _messages_of(file)]
            hint = _nearest(name, known) if known else self._hint(name)
            raise InputError(f"There is no message '{name}'; {hint}") from problem

    def _hint(self, name: str) -> str:
        return _nearest(name, self.services) if self.services else "no service is told of."


def _nearest(name: str, known: Collection[str]) -> str:
    from paycli.documents import (
        nearest,
    )  # start-up time: with all of YAML, and only mistakes need it

    return nearest(name, known)


def _messages_of(file: FileDescriptorProto) -> Iterator[str]:
    """Full names, without those of maps' entries."""
    left = [(file.package, each) for each in file.message_type]
    while left:
        outer, message = left.pop()
        name = f"{outer}.{message.name}".lstrip(".")
        if not message.options.map_entry:
            yield name
        left += ((name, each) for each in message.nested_type)


def path_of(method: MethodDescriptor) -> str:
    """`package.Service/Method`."""
    return f"{method.containing_service.full_name}/{method.name}"


def schema_of_files(files: FileDescriptorSet) -> Schema:
    """Of a descriptor set that has all that its files import. Raises InputError."""
    pool = DescriptorPool()
    services: list[str] = []
    for file in files.file:
        try:
            pool.Add(file)
        except TypeError as problem:
            raise InputError(
                f"{file.name} does not fit the rest of the descriptors: {problem}."
            ) from problem
        package = f"{file.package}." if file.package else ""
        services += (f"{package}{each.name}" for each in file.service)
    return Schema(pool, services, {file.name: file for file in files.file})


def schema_of_server(channel: grpc.Channel, timeout_s: float) -> Schema:
    """What a server's reflection tells. Raises RemoteError when it tells nothing, and Refused."""
    reflection = _Reflection(channel, timeout_s)
    services = [each for each in reflection.services() if not each.startswith("grpc.reflection.")]
    return Schema(DescriptorPool(reflection), services, reflection.files)


class _Reflection:
    """A database of descriptors, as protobuf asks one, behind a channel."""

    def __init__(self, channel: grpc.Channel, timeout_s: float) -> None:
        self._channel = channel
        self._timeout_s = timeout_s
        self._version = ""
        self.files: dict[str, FileDescriptorProto] = {}

    def services(self) -> list[str]:
        """The full names of all services."""
        answer = self._ask(list_services="")
        return [each.name for each in answer.list_services_response.service]

    def FindFileByName(self, name: str) -> FileDescriptorProto:  # noqa: N802 - protobuf's name
        """Raises KeyError."""
        if name not in self.files:
            self._take(self._ask(file_by_filename=name))
        return self.files[name]

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptorProto:  # noqa: N802 - as above
        """Raises KeyError."""
        return self._take(self._ask(file_containing_symbol=symbol))

    def _take(self, answer: Any) -> FileDescriptorProto:
        files = [
            FileDescriptorProto.FromString(each)
            for each in answer.file_descriptor_response.file_descriptor_proto
        ]
        if not files:
            raise KeyError(answer.error_response.error_message)
        self.files |= {each.name: each for each in files}
        return files[0]

    def _ask(self, **question: str) -> Any:
        request = reflection_pb2.ServerReflectionRequest(**question)
        for version in [self._version] if self._version else _VERSIONS:
            service = f"grpc.reflection.{version}.ServerReflection"
            ask = self._channel.stream_stream(
                f"/{service}/ServerReflectionInfo",
                reflection_pb2.ServerReflectionRequest.SerializeToString,
                reflection_pb2.ServerReflectionResponse.FromString,
            )
            try:
                answer = next(ask(iter((request,)), timeout=self._timeout_s), None)
            except grpc.RpcError as problem:
                if problem.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    raise failure_of(problem, service, sent=False) from problem
                continue
            if answer is not None:
                self._version = version
                return answer
        raise RemoteError(
            "The server does not tell what it offers (no reflection). Name its protos with -I DIR, "
            "or their descriptors with --descriptor-set FILE.",
            status="UNIMPLEMENTED",
        )
