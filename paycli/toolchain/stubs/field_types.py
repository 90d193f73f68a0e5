"""The Python types of proto fields, as the run time of protobuf has them.

A constructor takes a dict for a message, a name for an enum value, a datetime or a timedelta for
their well-known types, and None for nothing. Assignment takes less, and `append` less again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from paycli.toolchain.protos.descriptors import MESSAGE_TYPES
from paycli.toolchain.stubs.names import Stub

_Field = FieldDescriptorProto
_SCALARS: Final = {
    _Field.TYPE_BOOL: "bool",
    _Field.TYPE_BYTES: "bytes",
    _Field.TYPE_DOUBLE: "float",
    _Field.TYPE_FLOAT: "float",
    _Field.TYPE_STRING: "str",
}  # all others are int

# The names of enum values are taken wherever values are; the containers of types-protobuf take values.
_ENUM_VARIABLES: Final = """\
{enum} = {typing}.TypeVar("{enum}", bound={int})
{key} = {typing}.TypeVar("{key}", bound={bool} | {int} | {str})
"""
_ENUM_LIST: Final = """\
@{typing}.type_check_only
class {name}({containers}.RepeatedScalarFieldContainer[{enum}]):
    def append(self, value: {enum} | {str}) -> None: ...
    def insert(self, key: {int}, value: {enum} | {str}) -> None: ...
    def extend(self, elem_seq: {abc}.Iterable[{enum} | {str}] | None) -> None: ...
    @{typing}.overload
    def __setitem__(self, key: {int}, value: {enum} | {str}) -> None: ...
    @{typing}.overload
    def __setitem__(self, key: {slice}, value: {abc}.Iterable[{enum} | {str}]) -> None: ...
"""
_ENUM_MAP: Final = """\
@{typing}.type_check_only
class {name}({containers}.ScalarMap[{key}, {enum}]):
    def __setitem__(self, key: {key}, value: {enum} | {str}) -> None: ...
"""


class FieldTypes(NamedTuple):
    """What a field is when read, what may be assigned to it, and what its constructor takes."""

    read: str
    assign: str | None
    construct: str


class FieldTyper:
    """Types of the fields of one stub."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._known: dict[tuple[int, int, str, bool], FieldTypes] = {}
        self._containers: set[str] = set()  # declared ones, that take names of enum values

    def of(self, field: FieldDescriptorProto, scope: Collection[str]) -> FieldTypes:
        """The types of a field within a class that declares the names of `scope`."""
        name = field.type_name
        hidden = bool(name) and self._stub.symbol(name).path[0] in scope
        key = (field.label, field.type, name, hidden)
        if key not in self._known:
            self._known[key] = self._find(field, scope)
        return self._known[key]

    def _find(self, field: FieldDescriptorProto, scope: Collection[str]) -> FieldTypes:
        read = self.read(field, scope)
        if field.label != _Field.LABEL_REPEATED:
            taken = self._taken(field, scope)
            if field.type not in MESSAGE_TYPES:
                return FieldTypes(read, taken, taken)
            native = self._native(field.type_name)
            return FieldTypes(read, native, _either(taken, native))
        abc = self._stub.module("collections.abc")
        entry = self._map_entry(field)
        if entry is not None:
            key, value = entry.field
            taken = self._taken(value, scope)
            return FieldTypes(read, None, f"{abc}.Mapping[{self._item(key, scope)}, {taken}]")
        taken = _either(self._taken(field, scope), self._native(field.type_name))
        return FieldTypes(read, None, f"{abc}.Iterable[{taken}]")

    def read(self, field: FieldDescriptorProto, scope: Collection[str]) -> str:
        """What a field, or an extension, is when it is read."""
        if field.label != _Field.LABEL_REPEATED:
            return self._item(field, scope)
        containers = self._stub.module("google.protobuf.internal.containers")
        entry = self._map_entry(field)
        if entry is not None:
            key, value = entry.field
            container = f"{containers}.ScalarMap"
            if value.type in MESSAGE_TYPES:
                container = f"{containers}.MessageMap"
            elif value.type == _Field.TYPE_ENUM:
                container = self._container("EnumMap", _ENUM_MAP)
            return f"{container}[{self._item(key, scope)}, {self._item(value, scope)}]"
        container = f"{containers}.RepeatedScalarFieldContainer"
        if field.type in MESSAGE_TYPES:
            container = f"{containers}.RepeatedCompositeFieldContainer"
        elif field.type == _Field.TYPE_ENUM:
            container = self._container("EnumList", _ENUM_LIST)
        return f"{container}[{self._item(field, scope)}]"

    def _item(self, field: FieldDescriptorProto, scope: Collection[str]) -> str:
        """One value of a field."""
        if field.type in MESSAGE_TYPES:
            return self._stub.message_type(field.type_name, scope)
        if field.type == _Field.TYPE_ENUM:
            return self._stub.enum_type(field.type_name, scope)
        return self._stub.builtin(_SCALARS.get(field.type, "int"))

    def _taken(self, field: FieldDescriptorProto, scope: Collection[str]) -> str:
        """One value, or what a constructor takes in its place everywhere."""
        item = self._item(field, scope)
        if field.type in MESSAGE_TYPES:
            return f"{item} | {self._dict()}"
        return f"{item} | {self._stub.builtin('str')}" if field.type == _Field.TYPE_ENUM else item

    def _native(self, type_name: str) -> str | None:
        """The Python type that stands for a well-known one, but not within a map."""
        stub = self._stub
        match type_name:
            case ".google.protobuf.Timestamp":
                return f"{stub.module('datetime')}.datetime"
            case ".google.protobuf.Duration":
                return f"{stub.module('datetime')}.timedelta"
            case ".google.protobuf.Struct":
                return self._dict()
            case ".google.protobuf.ListValue":
                return f"{stub.builtin('list')}[{stub.typing('Any')}]"
        return None

    def _dict(self) -> str:
        stub = self._stub
        return (
            f"{stub.module('collections.abc')}.Mapping[{stub.builtin('str')}, {stub.typing('Any')}]"
        )

    def _map_entry(self, field: FieldDescriptorProto) -> DescriptorProto | None:
        if field.type != _Field.TYPE_MESSAGE:
            return None
        entry = self._stub.symbol(field.type_name).proto
        return entry if isinstance(entry, DescriptorProto) and entry.options.map_entry else None

    def _container(self, name: str, template: str) -> str:
        """The class of `template`, which the stub declares when it is first wanted."""
        stub = self._stub
        own = stub.private(name)
        if own not in self._containers:
            filled = {
                "abc": stub.module("collections.abc"),
                "containers": stub.module("google.protobuf.internal.containers"),
                "typing": stub.module("typing"),
                "enum": stub.private("Enum"),
                "key": stub.private("Key"),
                "name": own,
            } | {name: stub.builtin(name) for name in ("bool", "int", "slice", "str")}
            if not self._containers:
                stub.declare(_ENUM_VARIABLES.format(**filled))
            stub.declare(template.format(**filled))
            self._containers.add(own)
        return own


def _either(taken: str, native: str | None) -> str:
    return taken if native is None or native in taken else f"{taken} | {native}"
