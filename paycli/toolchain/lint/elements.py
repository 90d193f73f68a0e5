"""What rules look at: the files of one module, flattened, and the places in them.

A place is a path into the descriptor, as in SourceCodeInfo. It becomes a line and a column only for
what was found: most elements are fine, and positions are the larger half of a descriptor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
    OneofDescriptorProto,
    ServiceDescriptorProto,
    SourceCodeInfo,
)

from paycli.toolchain.rules.buf_config import LintSettings

PlacePath = tuple[int, ...]

_File = FileDescriptorProto
_Message = DescriptorProto
_VALUES: Final = EnumDescriptorProto.VALUE_FIELD_NUMBER
_METHODS: Final = ServiceDescriptorProto.METHOD_FIELD_NUMBER


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Proto = TypeVar("Proto", bound=_Named)


class Place(NamedTuple):
    """Somewhere in a file; the empty path is the file as a whole."""

    file: ProtoFile
    path: PlacePath


class Element(NamedTuple, Generic[Proto]):
    """A part of a file: its descriptor, where it is, and the name of what it stands in."""

    file: ProtoFile
    path: PlacePath
    proto: Proto
    parent_name: str

    @property
    def name(self) -> str:
        """As written in the source, without package."""
        return self.proto.name

    def at(self, *below: int) -> Place:
        """The element, or a part of it by field numbers of its descriptor."""
        return Place(self.file, self.path + below)


Field = Element[FieldDescriptorProto]
Method = Element[MethodDescriptorProto]
Oneof = Element[OneofDescriptorProto]


class ProtoFile:
    """One file and its elements, nested ones included; entries of maps are left out."""

    def __init__(self, proto: FileDescriptorProto, unused: Iterable[str] = ()) -> None:
        self.proto = proto
        self.name = proto.name
        self.package = proto.package
        self.folder = proto.name.rpartition("/")[0] or "."
        self.unused_imports = frozenset(unused)
        self.messages: list[Element[DescriptorProto]] = []
        self.fields: list[Field] = []
        self.oneofs: list[Oneof] = []
        self.enums: list[Element[EnumDescriptorProto]] = []
        self.services = self._elements(proto.service, (_File.SERVICE_FIELD_NUMBER,), "")
        self._add(proto.message_type, (_File.MESSAGE_TYPE_FIELD_NUMBER,), "")
        self.enums += self._elements(proto.enum_type, (_File.ENUM_TYPE_FIELD_NUMBER,), "")
        self.fields += self._elements(proto.extension, (_File.EXTENSION_FIELD_NUMBER,), "")

    def at(self, *path: int) -> Place:
        """A part of the file by field numbers of its descriptor; nothing for the whole file."""
        return Place(self, path)

    @cached_property
    def imports(self) -> list[tuple[Place, str]]:
        """Where each import stands, and what it names."""
        return [
            (self.at(_File.DEPENDENCY_FIELD_NUMBER, i), name)
            for i, name in enumerate(self.proto.dependency)
        ]

    @cached_property
    def options(self) -> Mapping[str, object]:
        """The file options that are set, by name."""
        return {field.name: value for field, value in self.proto.options.ListFields()}

    @cached_property
    def locations(self) -> Mapping[PlacePath, SourceCodeInfo.Location]:
        """Positions and comments by path; the first one counts where there are several."""
        found: dict[PlacePath, SourceCodeInfo.Location] = {}
        for location in self.proto.source_code_info.location:
            found.setdefault(tuple(location.path[:]), location)
        return found

    def _add(self, messages: Sequence[DescriptorProto], path: PlacePath, parent: str) -> None:
        for message in self._elements(messages, path, parent):
            proto, here, name = message.proto, message.path, message.proto.name
            if proto.options.map_entry:
                continue
            self.messages.append(message)
            self.fields += self._elements(proto.field, (*here, _Message.FIELD_FIELD_NUMBER), name)
            if proto.oneof_decl:
                optional = {each.oneof_index for each in proto.field if each.proto3_optional}
                oneofs = self._elements(
                    proto.oneof_decl, (*here, _Message.ONEOF_DECL_FIELD_NUMBER), name
                )
                self.oneofs += [each for i, each in enumerate(oneofs) if i not in optional]
            self.enums += self._elements(
                proto.enum_type, (*here, _Message.ENUM_TYPE_FIELD_NUMBER), name
            )
            self.fields += self._elements(
                proto.extension, (*here, _Message.EXTENSION_FIELD_NUMBER), name
            )
            self._add(proto.nested_type, (*here, _Message.NESTED_TYPE_FIELD_NUMBER), name)

    def _elements(
        self, protos: Sequence[Proto], path: PlacePath, parent: str
    ) -> list[Element[Proto]]:
        return [Element(self, (*path, i), proto, parent) for i, proto in enumerate(protos)]


class Tree:
    """The files of a module, all that they import, and the module's settings."""

    def __init__(
        self,
        files: Sequence[ProtoFile],
        every_file: Mapping[str, FileDescriptorProto],
        settings: LintSettings,
    ) -> None:
        self.files = files
        self.every_file = every_file
        self.settings = settings

    @property
    def messages(self) -> Iterator[Element[DescriptorProto]]:
        """All messages but the entries of maps."""
        return (each for file in self.files for each in file.messages)

    @property
    def fields(self) -> Iterator[Field]:
        """All fields, and extensions."""
        return (each for file in self.files for each in file.fields)

    @property
    def oneofs(self) -> Iterator[Oneof]:
        """All oneofs that are written; not what stands for an `optional` of proto3."""
        return (each for file in self.files for each in file.oneofs)

    @property
    def enums(self) -> Iterator[Element[EnumDescriptorProto]]:
        """All enums."""
        return (each for file in self.files for each in file.enums)

    @cached_property
    def enum_values(self) -> list[Element[EnumValueDescriptorProto]]:
        """All values of all enums."""
        return [
            Element(enum.file, (*enum.path, _VALUES, i), value, enum.name)
            for enum in self.enums
            for i, value in enumerate(enum.proto.value)
        ]

    @property
    def services(self) -> Iterator[Element[ServiceDescriptorProto]]:
        """All services."""
        return (each for file in self.files for each in file.services)

    @cached_property
    def methods(self) -> list[Method]:
        """All RPCs of all services."""
        return [
            Element(service.file, (*service.path, _METHODS, i), method, service.name)
            for service in self.services
            for i, method in enumerate(service.proto.method)
        ]

    @cached_property
    def packages(self) -> Mapping[str, list[ProtoFile]]:
        """Files by package; those without one have the empty one."""
        found: dict[str, list[ProtoFile]] = {}
        for file in self.files:
            found.setdefault(file.package, []).append(file)
        return found
