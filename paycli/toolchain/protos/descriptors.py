"""The parts of a proto: one walk over descriptors, and one index of where each part stands.

Thin wrappers of descriptors with what these do not say by themselves: what a part stands in, its full
name, its place in the source, and what its file's edition makes of it. Parts are made when they are
asked for: of most imports nobody wants to know anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeAlias, TypeVar

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FeatureSet,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
    OneofDescriptorProto,
    ServiceDescriptorProto,
    SourceCodeInfo,
)

from paycli.toolchain.protos.editions import edition_of, resolve
from paycli.toolchain.protos.places import SELF, Path, Place

if TYPE_CHECKING:
    from paycli.toolchain.protos.schema import Schema


_File: Final = FileDescriptorProto
_Message: Final = DescriptorProto
_VALUES: Final = EnumDescriptorProto.VALUE_FIELD_NUMBER
_METHODS: Final = ServiceDescriptorProto.METHOD_FIELD_NUMBER
_TYPE_NAME: Final = FieldDescriptorProto.TYPE_NAME_FIELD_NUMBER

Kind: TypeAlias = FieldDescriptorProto.Type.ValueType
MESSAGE_TYPES: Final = frozenset(
    {FieldDescriptorProto.TYPE_MESSAGE, FieldDescriptorProto.TYPE_GROUP}
)


class _Options(Protocol):
    @property
    def features(self) -> FeatureSet: ...


class _Descriptor(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def options(self) -> _Options: ...


Proto = TypeVar("Proto", bound=_Descriptor)
Part = TypeVar("Part")


class ProtoFile:
    """A file with its parts."""

    schema: Schema  # it sets this

    def __init__(self, proto: FileDescriptorProto) -> None:
        self.proto = proto
        self._source = SourceCodeInfo()  # apart, so that files compare by what they say
        self._source.CopyFrom(proto.source_code_info)
        proto.ClearField("source_code_info")
        self.name = proto.name
        self.package = proto.package
        self.file = self

    @cached_property
    def messages(self) -> list[Message]:
        """The messages at its top."""
        messages = self.proto.message_type
        return _parts(Message, messages, self, (_File.MESSAGE_TYPE_FIELD_NUMBER,), None)

    @cached_property
    def enums(self) -> list[Enum]:
        """The enums at its top."""
        return _parts(Enum, self.proto.enum_type, self, (_File.ENUM_TYPE_FIELD_NUMBER,), None)

    @cached_property
    def extensions(self) -> list[Field]:
        """The extensions at its top."""
        return _parts(Field, self.proto.extension, self, (_File.EXTENSION_FIELD_NUMBER,), None)

    @cached_property
    def services(self) -> list[Service]:
        """All services."""
        return _parts(Service, self.proto.service, self, (_File.SERVICE_FIELD_NUMBER,), None)

    @cached_property
    def every_message(self) -> list[Message]:
        """All messages, entries of maps among them, each before what is inside it."""
        found: list[Message] = []
        waiting = self.messages[::-1]
        while waiting:
            found.append(waiting.pop())
            waiting += found[-1].messages[::-1]
        return found

    @cached_property
    def every_enum(self) -> list[Enum]:
        """All enums."""
        return [*self.enums, *(each for message in self.every_message for each in message.enums)]

    @cached_property
    def every_extension(self) -> list[Field]:
        """All extensions."""
        inner = (each for message in self.every_message for each in message.extensions)
        return [*self.extensions, *inner]

    @cached_property
    def edition(self) -> int:
        """Its edition, where proto2 and proto3 count as ones of their own."""
        return edition_of(self.proto)

    @property
    def features(self) -> Iterator[FeatureSet]:
        """The only layer there is."""
        yield self.proto.options.features

    def at(self, *part: int) -> Place:
        """A part of it by field numbers and indices; nothing for all of it."""
        return Place(self, part)

    def at_first(self, *parts: Path) -> Place:
        """The first of `parts` that the source has; else the file as a whole."""
        return Place(self, next((part for part in parts if part in self._locations), SELF))

    def location(self, path: Path) -> SourceCodeInfo.Location | None:
        """The position and the comments of a part, if it is written in the source."""
        index = self._locations.get(path)
        return self._source.location[index] if index is not None else None

    @cached_property
    def _locations(self) -> Mapping[Path, int]:
        """Indices: a message for each of them would be most of the memory of a run."""
        found: dict[Path, int] = {}
        for index, location in enumerate(self._source.location):
            found.setdefault(tuple(location.path), index)  # the first of several counts
        return found


def _parts(
    make: Callable[[Proto, ProtoFile, Path, Message | None], Part],
    protos: Iterable[Proto],
    file: ProtoFile,
    path: Path,
    parent: Message | None,
) -> list[Part]:
    return [make(proto, file, (*path, index), parent) for index, proto in enumerate(protos)]


class Element(Generic[Proto]):
    """Anything with a name inside a file; `parent` is the message around it."""

    def __init__(self, proto: Proto, file: ProtoFile, path: Path, parent: Message | None) -> None:
        self.proto = proto
        self.file = file
        self.path = path
        self.parent = parent
        self.name = proto.name

    @cached_property
    def nested_name(self) -> str:
        """Its name within the file, such as `Order.Line`."""
        return f"{self.parent.nested_name}.{self.name}" if self.parent is not None else self.name

    @cached_property
    def full_name(self) -> str:
        """Its name everywhere, such as `acme.shop.v1.Order.Line`."""
        return f"{self.file.package}.{self.nested_name}".removeprefix(".")

    @property
    def features(self) -> Iterator[FeatureSet]:
        """Its own, then those of what is around it."""
        yield self.proto.options.features
        yield from (self.parent or self.file).features

    @property
    def location(self) -> SourceCodeInfo.Location | None:
        """Its position and comments, if it is written in the source."""
        return self.file.location(self.path)

    def at(self, *part: int) -> Place:
        """Itself, or a part of it by field numbers of its descriptor."""
        return Place(self.file, self._path_of(part))

    def at_first(self, *parts: Path) -> Place:
        """The first of its `parts` that the source has; else the file as a whole."""
        return self.file.at_first(*map(self._path_of, parts))

    def _path_of(self, part: Path) -> Path:
        return (*self.path, *part)


class Message(Element[DescriptorProto]):
    """A message, or the entry of a map field."""

    @cached_property
    def is_map_entry(self) -> bool:
        """Whether protoc made it of a map, which has fields of key and value."""
        return self.proto.options.map_entry

    @cached_property
    def fields(self) -> list[Field]:
        """Its fields in the order of the source."""
        path = (*self.path, _Message.FIELD_FIELD_NUMBER)
        return _parts(Field, self.proto.field, self.file, path, self)

    @cached_property
    def fields_by_number(self) -> Mapping[int, Field]:
        """Its fields by what stands for them on the wire."""
        return {field.number: field for field in self.fields}

    @cached_property
    def oneofs(self) -> list[Oneof]:
        """The oneofs that are written; not what stands for an `optional` of proto3."""
        if not self.proto.oneof_decl:
            return []
        path = (*self.path, _Message.ONEOF_DECL_FIELD_NUMBER)
        made_up = {each.oneof_index for each in self.proto.field if each.proto3_optional}
        oneofs = _parts(Oneof, self.proto.oneof_decl, self.file, path, self)
        return [oneof for index, oneof in enumerate(oneofs) if index not in made_up]

    @cached_property
    def messages(self) -> list[Message]:
        """The messages right inside it."""
        path = (*self.path, _Message.NESTED_TYPE_FIELD_NUMBER)
        return _parts(Message, self.proto.nested_type, self.file, path, self)

    @cached_property
    def enums(self) -> list[Enum]:
        """The enums right inside it."""
        path = (*self.path, _Message.ENUM_TYPE_FIELD_NUMBER)
        return _parts(Enum, self.proto.enum_type, self.file, path, self)

    @cached_property
    def extensions(self) -> list[Field]:
        """The extensions right inside it, which extend any message."""
        path = (*self.path, _Message.EXTENSION_FIELD_NUMBER)
        return _parts(Field, self.proto.extension, self.file, path, self)

    def _path_of(self, part: Path) -> Path:
        """A map's entry is not written anywhere: it stands where the map's type does."""
        if self.is_map_entry and self.parent is not None:
            for field in self.parent.fields:
                if field.type_name == self.full_name:
                    return (*field.path, _TYPE_NAME)
        return super()._path_of(part)


class Field(Element[FieldDescriptorProto]):
    """A field, or an extension (`parent` is then the message it is declared in)."""

    def __str__(self) -> str:
        if self.is_extension:
            extended = self.proto.extendee.removeprefix(".")
            return f'Extension {self.number} "{self.full_name}" of "{extended}"'
        return f'Field {self.number} "{self.name}" of "{self._message.nested_name}"'

    @cached_property
    def number(self) -> int:
        """What stands for it on the wire."""
        return self.proto.number

    @cached_property
    def type_name(self) -> str:
        """The full name of its message or enum; empty for all other types."""
        return self.proto.type_name.removeprefix(".")

    @cached_property
    def is_extension(self) -> bool:
        """Whether it extends a message, instead of being one of its fields."""
        return bool(self.proto.extendee)

    @cached_property
    def in_map_entry(self) -> bool:
        """Whether it is the key or the value of a map."""
        return self.parent is not None and self.parent.is_map_entry and not self.is_extension

    @property
    def _message(self) -> Message:
        assert self.parent is not None
        return self.parent

    @property
    def features(self) -> Iterator[FeatureSet]:
        """Those of a field apply to fields and files alone: no message stands between."""
        yield self.proto.options.features
        yield from self.file.features

    def _path_of(self, part: Path) -> Path:
        """The fields of a map's entry stand where the map's type does."""
        return self._message.at().path if self.in_map_entry else super()._path_of(part)

    @cached_property
    def is_map(self) -> bool:
        """Whether its type is an entry of a map."""
        if self.is_extension or not self.proto.type_name:
            return False
        inner = self._message.messages
        return any(each.is_map_entry for each in inner if each.full_name == self.type_name)

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

    @property
    def is_required(self) -> bool:
        """Whether a message without it cannot be read."""
        if self.proto.label == FieldDescriptorProto.LABEL_REQUIRED:
            return True
        return self._presence == FeatureSet.LEGACY_REQUIRED

    @property
    def has_presence(self) -> bool:
        """Whether one value that is not set can be told from zero."""
        if self.proto.label == FieldDescriptorProto.LABEL_REPEATED:
            return False
        by_nature = self.proto.type in MESSAGE_TYPES or self.is_extension
        if by_nature or self.proto.HasField("oneof_index"):
            return True
        return self._presence != FeatureSet.IMPLICIT

    @property
    def _presence(self) -> int:
        return resolve("field_presence", self.file.edition, self.features)


class Oneof(Element[OneofDescriptorProto]):
    """A oneof."""


class Enum(Element[EnumDescriptorProto]):
    """An enum with its values."""

    @cached_property
    def values(self) -> list[EnumValue]:
        """Its values in the order of the source."""
        values = enumerate(self.proto.value)
        return [EnumValue(each, self, (*self.path, _VALUES, index)) for index, each in values]

    @cached_property
    def values_by_number(self) -> Mapping[int, list[EnumValue]]:
        """Its values by number, which aliases share."""
        found: dict[int, list[EnumValue]] = {}
        for value in self.values:
            found.setdefault(value.number, []).append(value)
        return found


class EnumValue(Element[EnumValueDescriptorProto]):
    """A value of an enum, whose sibling it is by its full name."""

    def __init__(self, proto: EnumValueDescriptorProto, enum: Enum, path: Path) -> None:
        super().__init__(proto, enum.file, path, enum.parent)
        self.enum = enum
        self.number = proto.number


class Service(Element[ServiceDescriptorProto]):
    """A service with its methods."""

    @cached_property
    def methods(self) -> Mapping[str, Method]:
        """Its methods by name, in the order of the source."""
        methods = enumerate(self.proto.method)
        return {each.name: Method(each, self, (*self.path, _METHODS, i)) for i, each in methods}


class Method(Element[MethodDescriptorProto]):
    """An rpc."""

    def __init__(self, proto: MethodDescriptorProto, service: Service, path: Path) -> None:
        super().__init__(proto, service.file, path, None)
        self.service = service

    def __str__(self) -> str:
        return f'RPC "{self.service.name}/{self.name}"'
