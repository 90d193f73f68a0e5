"""One side of the comparison: a descriptor set by names, and where each element stands.

Thin wrappers of the descriptors with what these do not say by themselves: full names, what a
file's edition makes of a field, and positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Final, NamedTuple, TypeAlias

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FeatureSet,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
    SourceCodeInfo,
)

from paycli.toolchain.protos.editions import edition_of, resolve

Path = tuple[int, ...]  # as in SourceCodeInfo.Location.path
_File: Final = FileDescriptorProto
_Message: Final = DescriptorProto
_VALUES: Final = EnumDescriptorProto.VALUE_FIELD_NUMBER
_METHODS: Final = ServiceDescriptorProto.METHOD_FIELD_NUMBER
_TYPE_NAME: Final = FieldDescriptorProto.TYPE_NAME_FIELD_NUMBER

Kind: TypeAlias = FieldDescriptorProto.Type.ValueType
SELF: Final[Path] = ()


class Place(NamedTuple):
    """A position on the new side, counted from 1. No file: what stood there is gone with it."""

    file: File | None
    line: int = 1
    column: int = 1


class Schema:
    """All files of one side; `own` names the ones that are compared, the others are imports."""

    def __init__(self, descriptors: FileDescriptorSet, own: AbstractSet[str]) -> None:
        self.everything = {proto.name: File(proto) for proto in descriptors.file}
        everything = self.everything.values()
        self.files = {file.name: file for file in everything if file.name in own}
        self.all_enums = {enum.full_name: enum for file in everything for enum in file.enums}
        self.packages = {file.package for file in self.files.values()}
        self.messages = {each.full_name: each for file in self._files() for each in file.messages}
        self.enums = {each.full_name: each for file in self._files() for each in file.enums}
        self.services = {each.full_name: each for file in self._files() for each in file.services}
        extensions = [each for file in self._files() for each in file.extensions]
        self.extensions = {each.full_name: each for each in extensions}
        self.extensions_by_number = {
            (each.proto.extendee, each.number): each for each in extensions
        }
        for file in everything:
            file.schema = self

    def _files(self) -> Iterable[File]:
        return self.files.values()


class File:
    """A file with its elements, nested ones among them."""

    schema: Schema

    def __init__(self, proto: FileDescriptorProto) -> None:
        self.proto = proto
        self._source = SourceCodeInfo()  # apart, so that files compare by what they say
        self._source.CopyFrom(proto.source_code_info)
        proto.ClearField("source_code_info")
        self.name = proto.name
        self.imports = tuple(proto.dependency)
        self.package = proto.package
        self.edition = edition_of(proto)
        self.file = self
        self.messages: list[Message] = []
        self.enums: list[Enum] = []
        self.extensions: list[Field] = []
        self.services = [
            Service(each, self, (_File.SERVICE_FIELD_NUMBER, i), None)
            for i, each in enumerate(proto.service)
        ]
        self._add_enums(proto.enum_type, (_File.ENUM_TYPE_FIELD_NUMBER,), None)
        self._add_extensions(proto.extension, (_File.EXTENSION_FIELD_NUMBER,), None)
        self._add_messages(proto.message_type, (_File.MESSAGE_TYPE_FIELD_NUMBER,), None)

    @property
    def features(self) -> Iterator[FeatureSet]:
        """The only layer there is."""
        yield self.proto.options.features

    def at(self, *paths: Path) -> Place:
        """The first of `paths` that the source has; else the file as a whole."""
        for path in paths:
            if (span := self._spans.get(path)) is not None:
                return Place(self, span[0] + 1, span[1] + 1)
        return Place(self)

    def _add_messages(
        self, protos: Iterable[DescriptorProto], path: Path, parent: Message | None
    ) -> None:
        for i, proto in enumerate(protos):
            message = Message(proto, self, (*path, i), parent)
            here = message.path
            self.messages.append(message)
            self._add_enums(proto.enum_type, (*here, _Message.ENUM_TYPE_FIELD_NUMBER), message)
            extensions = (*here, _Message.EXTENSION_FIELD_NUMBER)
            self._add_extensions(proto.extension, extensions, message)
            nested = (*here, _Message.NESTED_TYPE_FIELD_NUMBER)
            self._add_messages(proto.nested_type, nested, message)

    def _add_enums(
        self, protos: Iterable[EnumDescriptorProto], path: Path, parent: Message | None
    ) -> None:
        self.enums += [Enum(each, self, (*path, i), parent) for i, each in enumerate(protos)]

    def _add_extensions(
        self, protos: Iterable[FieldDescriptorProto], path: Path, parent: Message | None
    ) -> None:
        self.extensions += [Field(each, self, (*path, i), parent) for i, each in enumerate(protos)]

    @cached_property
    def _spans(self) -> dict[Path, Sequence[int]]:
        spans: dict[Path, Sequence[int]] = {}
        for location in self._source.location:
            spans.setdefault(tuple(location.path), location.span)
        return spans


class Element:
    """Anything with a name inside a file; `parent` is the message around it."""

    nested_name: str
    full_name: str

    def __init__(self, name: str, file: File, path: Path, parent: Message | None) -> None:
        self.name = name
        self.file = file
        self.path = path
        self.parent = parent
        self.nested_name = f"{parent.nested_name}.{name}" if parent is not None else name
        self.full_name = f"{file.package}.{self.nested_name}".removeprefix(".")

    def at(self, *paths: Path) -> Place:
        """The first of `paths`, from this element on, that the source has; else the file."""
        return self.file.at(*((*self.path, *path) for path in paths or (SELF,)))


class Message(Element):
    """A message, or the entry of a map field."""

    def __init__(
        self, proto: DescriptorProto, file: File, path: Path, parent: Message | None
    ) -> None:
        super().__init__(proto.name, file, path, parent)
        self.proto = proto
        self.is_map_entry = proto.options.map_entry
        self.fields = {
            each.number: Field(each, file, (*path, _Message.FIELD_FIELD_NUMBER, i), self)
            for i, each in enumerate(proto.field)
        }

    def at(self, *paths: Path) -> Place:
        """A map's entry is not written anywhere: it stands where the map's type does."""
        if self.is_map_entry and self.parent is not None:
            for field in self.parent.fields.values():
                if field.type_name == self.full_name:
                    return field.at((_TYPE_NAME,))
        return super().at(*paths)

    @property
    def features(self) -> Iterator[FeatureSet]:
        """Its own, then those of what is around it."""
        yield self.proto.options.features
        yield from (self.parent or self.file).features

    def nested(self, name: str) -> DescriptorProto | None:
        """The message of that full name, if it is declared in this one."""
        mine = (each for each in self.proto.nested_type)
        return next((each for each in mine if f"{self.full_name}.{each.name}" == name), None)


class Field(Element):
    """A field, or an extension (`parent` is then the message it is declared in)."""

    def __init__(
        self, proto: FieldDescriptorProto, file: File, path: Path, parent: Message | None
    ) -> None:
        super().__init__(proto.name, file, path, parent)
        self.proto = proto
        self.number = proto.number
        self.type_name = proto.type_name.removeprefix(".")
        self.is_extension = bool(proto.extendee)
        self.in_map_entry = parent is not None and parent.is_map_entry and not self.is_extension

    def __str__(self) -> str:
        if self.is_extension:
            extended = self.proto.extendee.removeprefix(".")
            return f'Extension {self.number} "{self.full_name}" of "{extended}"'
        return f'Field {self.number} "{self.name}" of "{self._message.nested_name}"'

    @property
    def _message(self) -> Message:
        assert self.parent is not None
        return self.parent

    @property
    def features(self) -> Iterator[FeatureSet]:
        """Those of a field apply to fields and files alone: no message stands between."""
        yield self.proto.options.features
        yield from self.file.features

    def at(self, *paths: Path) -> Place:
        """The fields of a map's entry stand where the map's type does."""
        if self.in_map_entry:
            return self._message.at()
        return super().at(*paths)

    @property
    def json_name(self) -> str:
        """The key in JSON; sets that do not come from protoc may leave it to the name."""
        first, *others = self.name.split("_")
        camel = first + "".join(each[:1].upper() + each[1:] for each in others)
        return self.proto.json_name or camel

    @cached_property
    def is_map(self) -> bool:
        """Whether its type is an entry of a map."""
        if self.is_extension or not self.proto.type_name:
            return False
        entry = self._message.nested(self.type_name)
        return entry is not None and entry.options.map_entry

    @cached_property
    def kind(self) -> Kind:
        """Its type as it is on the wire: a message in delimited encoding is a group."""
        kind = self.proto.type
        if kind != FieldDescriptorProto.TYPE_MESSAGE or self.is_map or self.in_map_entry:
            return kind
        encoding = resolve("message_encoding", self.file.edition, self.features)
        return FieldDescriptorProto.TYPE_GROUP if encoding == FeatureSet.DELIMITED else kind

    @cached_property
    def oneof(self) -> str | None:
        """The oneof it stands in; that of a proto3 `optional` is none."""
        if not self.proto.HasField("oneof_index") or self.proto.proto3_optional:
            return None
        return self._message.proto.oneof_decl[self.proto.oneof_index].name


class EnumValue(Element):
    """A value of an enum."""

    def __init__(self, name: str, number: int, enum: Enum, path: Path) -> None:
        super().__init__(name, enum.file, path, enum.parent)
        self.number = number


class Enum(Element):
    """An enum with its values by number; aliases share one."""

    def __init__(
        self, proto: EnumDescriptorProto, file: File, path: Path, parent: Message | None
    ) -> None:
        super().__init__(proto.name, file, path, parent)
        self.proto = proto
        self.values: dict[int, list[EnumValue]] = {}
        for i, each in enumerate(proto.value):
            value = EnumValue(each.name, each.number, self, (*path, _VALUES, i))
            self.values.setdefault(each.number, []).append(value)

    @property
    def features(self) -> Iterator[FeatureSet]:
        """Its own, then those of what is around it."""
        yield self.proto.options.features
        yield from (self.parent or self.file).features


class Service(Element):
    """A service with its methods by name."""

    def __init__(
        self, proto: ServiceDescriptorProto, file: File, path: Path, parent: Message | None
    ) -> None:
        super().__init__(proto.name, file, path, parent)
        self.methods = {
            each.name: Method(each, self, (*path, _METHODS, i))
            for i, each in enumerate(proto.method)
        }


class Method(Element):
    """An rpc."""

    def __init__(self, proto: MethodDescriptorProto, service: Service, path: Path) -> None:
        super().__init__(proto.name, service.file, path, None)
        self.proto = proto
        self.service = service

    def __str__(self) -> str:
        return f'RPC "{self.service.name}/{self.name}"'
