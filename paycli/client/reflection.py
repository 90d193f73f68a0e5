"""Server reflection, v1 or v1alpha, as a database that protobuf's pool of descriptors asks.

What a server tells is checked before the pool sees it: the pool would follow imports in a circle until
the stack ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection_pb2

from paycli.client.descriptors import flaws
from paycli.client.failures import failure_of
from paycli.errors import NotTaken, RemoteError

# v1 has the messages of v1alpha; there are servers that know only one of them.
_VERSIONS: Final = ("v1", "v1alpha")
_STATUSES: Final = {code.value[0]: code.name for code in grpc.StatusCode}
_NAME: Final = re.compile(r"[A-Za-z_][\w.]*")
_IMPORT_DEPTH_MAX: Final = 500
_ELSE: Final = "Name its protos with -I DIR, or their descriptors with --descriptor-set FILE."


class Reflection:
    """What the server behind a channel tells of itself. All raise RemoteError, NotTaken and Refused."""

    def __init__(self, channel: grpc.Channel, timeout_s: float) -> None:
        self._channel = channel
        self._timeout_s = timeout_s
        self._version = ""
        self._whole: set[str] = set()
        self.files: dict[str, FileDescriptorProto] = {}

    def services(self) -> list[str]:
        """The full names of all services."""
        answer = self._ask(list_services="")
        if answer.HasField("error_response"):
            refusal = answer.error_response
            status = _STATUSES.get(refusal.error_code, "UNKNOWN")
            raise _unfit(f"it answers {status}: {refusal.error_message.rstrip('.')}", status)
        names = [each.name for each in answer.list_services_response.service]
        if odd := next((each for each in names if not _NAME.fullmatch(each)), None):
            raise _unfit(f"it lists a service that is called {odd!a}")
        return names

    def FindFileByName(self, name: str) -> FileDescriptorProto:  # noqa: N802 - protobuf's name
        """Raises KeyError."""
        if name not in self.files:
            self._take(self._ask(file_by_filename=name))
        return self._with_imports(self.files[name])

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptorProto:  # noqa: N802 - as above
        """Raises KeyError."""
        return self._with_imports(self._take(self._ask(file_containing_symbol=symbol)))

    def _take(self, answer: Any) -> FileDescriptorProto:
        told = answer.file_descriptor_response.file_descriptor_proto
        try:
            files = [FileDescriptorProto.FromString(each) for each in told]
        except DecodeError as problem:
            raise _unfit("what it tells is no descriptor") from problem
        if not files:
            raise KeyError(answer.error_response.error_message)
        for each in files:
            if flaw := next(flaws(each), None):
                raise _unfit(flaw)
            self.files.setdefault(each.name, each)
        return self.files[files[0].name]

    def _with_imports(self, file: FileDescriptorProto) -> FileDescriptorProto:
        """The file, once all that it imports is there, and nothing imports itself."""
        way: dict[str, Iterator[str]] = {file.name: iter(file.dependency)}
        while way:
            name, imports = next(reversed(way.items()))
            imported = next(imports, None)
            if imported is None:
                self._whole.add(name)
                del way[name]
            elif imported in way:
                raise _unfit(f"{imported} imports itself, by way of {name}")
            elif len(way) > _IMPORT_DEPTH_MAX:
                raise _unfit(f"{file.name} imports what imports, more than {len(way):,} times over")
            elif imported not in self._whole:
                way[imported] = iter(self._imported(imported, name).dependency)
        return file

    def _imported(self, name: str, by: str) -> FileDescriptorProto:
        try:
            if name not in self.files:
                self._take(self._ask(file_by_filename=name))
            return self.files[name]
        except KeyError as problem:
            raise _unfit(f"{by} imports {name}, of which it does not tell") from problem

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
                if problem.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    late = f"The server's reflection did not answer within {self._timeout_s:g} s."
                    raise NotTaken(late) from problem
                if problem.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    raise failure_of(problem, service, sent=False) from problem
                continue
            if answer is not None:
                self._version = version
                return answer
        raise RemoteError(
            f"The server does not tell what it offers (no reflection). {_ELSE}",
            status="UNIMPLEMENTED",
        )


def _unfit(why: str, status: str = "UNKNOWN") -> RemoteError:
    said = f"The server's reflection cannot be used: {' '.join(why.split())}. {_ELSE}"
    return RemoteError(said, status=status)


def unfit(problem: TypeError) -> RemoteError:
    """The error for descriptors that the pool does not take."""
    return _unfit(reason(problem))


def reason(problem: TypeError) -> str:
    """Why the pool does not take descriptors."""
    said = str(problem).removeprefix("Couldn't build proto file into descriptor pool: ")
    return " ".join(said.split()).rstrip(".")
