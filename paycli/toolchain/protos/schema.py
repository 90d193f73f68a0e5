"""A set of proto files, by the names of what they declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import cached_property

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from paycli.toolchain.protos.descriptors import Enum, Field, Message, ProtoFile, Service


class Schema:
    """A set of files; `own` names the ones that are looked at, the others are what they import."""

    def __init__(self, descriptors: FileDescriptorSet, own: AbstractSet[str]) -> None:
        self.everything = {proto.name: ProtoFile(proto) for proto in descriptors.file}
        self.files = {name: file for name, file in self.everything.items() if name in own}
        for file in self.everything.values():
            file.schema = self

    @cached_property
    def packages(self) -> AbstractSet[str]:
        """The packages of its own files."""
        return {file.package for file in self.files.values()}

    @cached_property
    def messages(self) -> Mapping[str, Message]:
        """Its own messages, like all others here by full name."""
        return {each.full_name: each for file in self._own() for each in file.every_message}

    @cached_property
    def enums(self) -> Mapping[str, Enum]:
        """Its own enums."""
        return {each.full_name: each for file in self._own() for each in file.every_enum}

    @cached_property
    def extensions(self) -> Mapping[str, Field]:
        """Its own extensions."""
        return {each.full_name: each for file in self._own() for each in file.every_extension}

    @cached_property
    def services(self) -> Mapping[str, Service]:
        """Its own services."""
        return {each.full_name: each for file in self._own() for each in file.services}

    @cached_property
    def all_enums(self) -> Mapping[str, Enum]:
        """Every enum, imported ones among them."""
        everything = self.everything.values()
        return {each.full_name: each for file in everything for each in file.every_enum}

    def _own(self) -> Iterable[ProtoFile]:
        return self.files.values()
