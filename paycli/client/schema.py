"""What services look like, from whoever tells: the server's reflection, or descriptors at hand.

Each has a descriptor pool of its own: what somebody else calls `payment.proto` never meets ours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

import grpc
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from paycli.client.descriptors import flaws, messages_of
from paycli.client.reflection import Reflection, reason, unfit
from paycli.errors import InputError, RemoteError

_Found = TypeVar("_Found")
Symbol = ServiceDescriptor | MethodDescriptor | Descriptor | EnumDescriptor


class Schema:
    """Services by their full names, and all that they are made of."""

    def __init__(
        self,
        pool: DescriptorPool,
        services: Iterable[str],
        files: Mapping[str, FileDescriptorProto],
    ) -> None:
        self.pool = pool
        self.services = sorted(set(services))
        self.files = files
        """As they came, which a pool does not keep: with their comments, if they have any."""

    def service(self, name: str) -> ServiceDescriptor:
        """A service by its full name. Raises InputError."""
        found = self._found(self.pool.FindServiceByName, name)
        if found is not None:
            return found
        if name in self.services:
            said = f"The server lists service '{name}', and does not tell what it is."
            raise RemoteError(said, status="NOT_FOUND")
        raise InputError(f"There is no service '{name}'; {self._hint(name, self.services)}")

    def method(self, name: str) -> MethodDescriptor:
        """A method: `package.Service/Method`, the same with a dot, or shorter where that is clear.

        Raises InputError.
        """
        wanted = name.strip("/").replace("/", ".")
        service, _, method = wanted.rpartition(".")
        offer = [
            full
            for full in self.services
            if not service or full == service or full.endswith(f".{service}")
        ]
        # One that is not told of does not keep others from being called, unless it is meant.
        methods = self.service(offer[0]).methods if len(offer) == 1 else self._methods(offer)
        found = [each for each in methods if each.name == method]
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(path_of(each) for each in found)
            raise InputError(f"'{name}' may be any of {listed}; say which.")
        there = self.methods()
        known = [path_of(each) if service else each.name for each in there]
        hint = _nearest(name, known) if known else "no method is told of."
        raise InputError(f"There is no method '{name}'; {hint}")

    def methods(self) -> list[MethodDescriptor]:
        """All that are told of."""
        return self._methods(self.services)

    def _methods(self, services: Iterable[str]) -> list[MethodDescriptor]:
        methods: list[MethodDescriptor] = []
        for name in services:
            with suppress(RemoteError):
                methods += self.service(name).methods
        return methods

    def symbol(self, name: str) -> Symbol:
        """A service, method, message or enum by its full name. Raises InputError."""
        found = (
            self._found(self.pool.FindServiceByName, name)
            or self._found(self.pool.FindMessageTypeByName, name)
            or self._found(self.pool.FindEnumTypeByName, name)
        )
        if found is not None:
            return found
        if "/" in name or name.rpartition(".")[0] in self.services:
            return self.method(name)
        declared = [each for file in self._all_files() for each in _enums_of(file)]
        hint = self._hint(name, [*self.services, *self.messages(), *declared])
        raise InputError(f"Nothing is called '{name}'; {hint}")

    def message(self, name: str) -> Descriptor:
        """A message by its full name. Raises InputError."""
        found = self._found(self.pool.FindMessageTypeByName, name)
        if found is not None:
            return found
        self._all_files()
        hint = self._hint(name, self.messages() or self.services)
        raise InputError(f"There is no message '{name}'; {hint}")

    def messages(self) -> list[str]:
        """Full names, in the files that were needed so far."""
        return [
            name
            for file in self.files.values()
            for name, message in messages_of(file)
            if not message.options.map_entry
        ]

    def listed_messages(self) -> str:
        """A sentence with their names, for who asked for something else."""
        return f"Messages: {_nearest('', self.messages()).removeprefix('known are ')}"

    @staticmethod
    def _found(find: Callable[[str], _Found], name: str) -> _Found | None:
        if not name.isprintable():  # half of a character, which the pool takes amiss
            return None
        try:
            return find(name)
        except KeyError:
            return None
        except TypeError as problem:
            raise unfit(problem) from problem

    def _all_files(self) -> Collection[FileDescriptorProto]:
        """Also those that reflection has not yet been asked for."""
        self.methods()
        return self.files.values()

    @staticmethod
    def _hint(name: str, known: Collection[str]) -> str:
        return _nearest(name, known) if known else "no service is told of."


def _nearest(name: str, known: Collection[str]) -> str:
    whole = next((each for each in known if each.endswith(f".{name}")), None)
    if whole is not None:
        return f"did you mean '{whole}'?"
    from paycli.documents import (
        nearest,
    )  # start-up time: with all of YAML, and only mistakes need it

    return nearest(name, known)


def _enums_of(file: FileDescriptorProto) -> Iterator[str]:
    inside = ((name, message.enum_type) for name, message in messages_of(file))
    for outer, enums in ((file.package, file.enum_type), *inside):
        yield from (f"{outer}.{each.name}".lstrip(".") for each in enums)


def path_of(method: MethodDescriptor) -> str:
    """`package.Service/Method`."""
    return f"{method.containing_service.full_name}/{method.name}"


def schema_of_files(files: FileDescriptorSet) -> Schema:
    """Of a descriptor set that has all that its files import, in any order. Raises InputError."""
    known = _by_name(files)
    pool = DescriptorPool()
    services: list[str] = []
    for file in _imported_first(known):
        if gone := next((each for each in file.dependency if each not in known), None):
            raise InputError(
                f"{file.name} imports {gone}, which is not in the descriptors; make them with all that is "
                "imported (protoc --include_imports)."
            )
        try:
            pool.Add(file)
        except TypeError as problem:
            raise InputError(
                f"{file.name} does not fit the rest of the descriptors: {reason(problem)}."
            ) from problem
        package = f"{file.package}." if file.package else ""
        services += (f"{package}{each.name}" for each in file.service)
    return Schema(pool, services, known)


def _by_name(files: FileDescriptorSet) -> dict[str, FileDescriptorProto]:
    """Sets that were joined may have a file twice, and only one of them its comments."""
    known: dict[str, FileDescriptorProto] = {}
    for file in files.file:
        if flaw := next(flaws(file), None):
            raise InputError(f"The descriptors cannot be used: {flaw}.")
        first = known.get(file.name)
        if first is not None and _without_comments(first) != _without_comments(file):
            raise InputError(f"{file.name} is twice in the descriptors, and not alike.")
        if first is None or not first.HasField("source_code_info"):
            known[file.name] = file
    return known


def _without_comments(file: FileDescriptorProto) -> FileDescriptorProto:
    bare = FileDescriptorProto()
    bare.CopyFrom(file)
    bare.ClearField("source_code_info")
    return bare


def _imported_first(files: Mapping[str, FileDescriptorProto]) -> Iterator[FileDescriptorProto]:
    order = TopologicalSorter({name: file.dependency for name, file in files.items()})
    try:
        yield from (files[name] for name in order.static_order() if name in files)
    except CycleError as problem:
        one, other = problem.args[1][:2]
        raise InputError(f"{one} imports itself, by way of {other}.") from problem


def schema_of_server(channel: grpc.Channel, timeout_s: float) -> Schema:
    """What a server's reflection tells. Raises RemoteError when it tells nothing, and Refused."""
    reflection = Reflection(channel, timeout_s)
    services = [each for each in reflection.services() if not each.startswith("grpc.reflection.")]
    return Schema(DescriptorPool(reflection), services, reflection.files)
