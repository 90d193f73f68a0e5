"""The type stub of a proto's messages, enums and extensions (`X_pb2.pyi`)."""

from __future__ import annotations

import keyword
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from paycli.toolchain.protos.descriptors import Element, Enum, Field, Message, ProtoFile
from paycli.toolchain.stubs.comments import docstring_of
from paycli.toolchain.stubs.enums import EnumWriter
from paycli.toolchain.stubs.field_types import FieldTyper, FieldTypes
from paycli.toolchain.stubs.names import (
    MESSAGE_MEMBERS,
    MODULE_MEMBERS,
    Stub,
    Types,
    declared_names,
    writable,
)

# What a message adds to `Message`, from google.protobuf.internal.well_known_types.
_MIXINS: Final = frozenset(
    f"google.protobuf.{name}"
    for name in ("Any", "Duration", "FieldMask", "ListValue", "Struct", "Timestamp")
)
# Own methods of each message class, which hide types of the same name within it.
_METHODS: Final = frozenset({"HasField", "ClearField", "WhichOneof"})


def message_stub(file: ProtoFile, types: Types, generated: Collection[str]) -> str:
    """The stub of one of the `generated` files."""
    exported = {each.name: set(_exported_names(each)) for each in _public_imports(file)}
    taken = declared_names(file).union(*exported.values())
    stub = Stub(file.name, types, generated, taken, declares_types=True)
    _MessageStub(stub, file).write_file()
    own = set(_own_names(file)) if exported else set()
    for name, names in exported.items():
        stub.reexport(name, names - own)
        own |= names
    return stub.text()


def _public_imports(file: ProtoFile) -> list[ProtoFile]:
    proto, everything = file.proto, file.schema.everything
    return [everything[proto.dependency[index]] for index in proto.public_dependency]


def _exported_names(file: ProtoFile) -> Iterator[str]:
    """What `import *` finds in the code of a file: its own, and what it imports publicly."""
    yield from _own_names(file)
    for imported in _public_imports(file):
        yield from _exported_names(imported)


def _own_names(file: ProtoFile) -> Iterator[str]:
    elements: list[Element[Any]] = [*file.messages, *file.enums, *file.extensions]
    elements += (value for enum in file.enums for value in enum.values)
    names = [*(each.name for each in elements), *map(_number_name, file.extensions)]
    return (name for name in names if writable(name) and not name.startswith("_"))


def _number_name(field: Field) -> str:
    return f"{field.name.upper()}_FIELD_NUMBER"


class _MessageStub:
    """Writes what one file declares."""

    def __init__(self, stub: Stub, file: ProtoFile) -> None:
        self._stub = stub
        self._file = file
        self._enums = EnumWriter(stub)
        self._types = FieldTyper(stub)
        self._keyword_classes = 0

    def write_file(self) -> None:
        """All of the file, in the order of messages, enums, extensions."""
        stub, file = self._stub, self._file
        descriptor = stub.module("google.protobuf.descriptor")
        stub.write(f"DESCRIPTOR: {descriptor}.FileDescriptor\n", "")
        for enum in file.enums:
            self._enums.write(enum, frozenset(), "")
        for message in file.messages:
            self._message(message, "")
        for extension in file.extensions:
            self._extension(extension, frozenset(), "")
        self._numbers(file.extensions, "")

    def _message(self, message: Message, indent: str) -> None:
        scope = self._scope(message)
        inner = indent + "    "
        self._class(message, indent)
        for enum in message.enums:
            self._enums.write(enum, scope, inner)
        for nested in message.messages:
            self._message(nested, inner)
        for extension in message.extensions:
            self._extension(extension, scope, inner)
        self._numbers([*message.fields, *message.extensions], inner)
        fields = [(field, self._types.of(field.proto, scope)) for field in message.fields]
        for field, types in fields:
            if writable(field.name, MESSAGE_MEMBERS):
                self._attribute(field, types, inner)
        self._constructor(fields, inner)
        self._presence(message, inner)
        self._stub.write("", "")

    def _scope(self, message: Message) -> frozenset[str]:
        """The names that a message's class declares in its body, which hide those of the module."""
        fields = [*message.fields, *message.extensions]
        types: list[Message | Enum] = [*message.messages, *message.enums]
        return _METHODS.union(
            (field.name for field in fields),
            map(_number_name, fields),
            map(self._class_name, types),
            (value.name for enum in message.enums for value in enum.values),
        )

    def _class_name(self, element: Message | Enum) -> str:
        return self._stub.symbol(f".{element.full_name}").path[-1]

    def _bases(self, message: Message) -> str:
        base = f"{self._stub.module('google.protobuf.message')}.Message"
        if message.full_name not in _MIXINS:
            return base
        mixins = self._stub.module("google.protobuf.internal.well_known_types")
        return f"{base}, {mixins}.{message.name}"

    def _class(self, message: Message, indent: str) -> None:
        """The head of a class; one that Python cannot name exists for checkers only."""
        name = self._class_name(message)
        if name != message.name:
            self._stub.write(f"@{self._stub.typing('type_check_only')}", indent)
        self._stub.write(f"@{self._stub.typing('final')}", indent)
        self._stub.write(f"class {name}({self._bases(message)}):", indent)
        self._stub.write_docstring(message, indent + "    ")

    def _numbers(self, fields: Iterable[Field], indent: str) -> None:
        number = self._stub.builtin("int")
        if indent:
            number = f"{self._stub.typing('ClassVar')}[{number}]"
        for name in dict.fromkeys(map(_number_name, fields)):
            self._stub.write(f"{name}: {number}", indent)

    def _attribute(self, field: Field, types: FieldTypes, indent: str) -> None:
        stub = self._stub
        if types.assign == types.read:
            stub.write(f"{field.name}: {types.read}", indent)
            stub.write_docstring(field, indent)
            return
        text = docstring_of(field)
        stub.write(f"@{stub.builtin('property')}", indent)
        stub.write(f"def {field.name}(self) -> {types.read}:{'' if text else ' ...'}", indent)
        if text:
            stub.write(text, indent + "    ")
        if types.assign:
            stub.write(f"@{field.name}.setter", indent)
            stub.write(f"def {field.name}(self, value: {types.assign}) -> None: ...", indent)

    def _constructor(self, fields: Sequence[tuple[Field, FieldTypes]], indent: str) -> None:
        """Keyword arguments alone; those that Python cannot spell come in as `**{"class": …}`."""
        stub = self._stub
        taken = any(field.name == "self" for field, _ in fields)
        receiver = stub.private("self") if taken else "self"
        spelt = [
            f"{field.name}: {types.construct} | None = ..."
            for field, types in fields
            if not keyword.iskeyword(field.name)
        ]
        others = [
            f'"{field.name}": {types.construct} | None'
            for field, types in fields
            if keyword.iskeyword(field.name)
        ]
        arguments = [receiver, *(["*", *spelt] if spelt else [])]
        if others:
            self._keyword_classes += 1
            keywords = stub.private(f"Keywords{self._keyword_classes}")
            typed = stub.typing("TypedDict")
            listed = ", ".join(others)
            stub.append(f'{keywords} = {typed}("{keywords}", {{{listed}}}, total=False)')
            arguments.append(
                f"**{stub.private('kwargs')}: {stub.module('typing_extensions')}.Unpack[{keywords}]"
            )
        if len(arguments) == 1:
            stub.write(f"def __init__({receiver}) -> None: ...", indent)
            return
        listed = "".join(f"    {argument},\n" for argument in arguments)
        stub.write(f"def __init__(\n{listed}) -> None: ...", indent)

    def _presence(self, message: Message, indent: str) -> None:
        """The methods that take names of fields and oneofs, with the names that they take."""
        stub, fields = self._stub, message.fields
        declared = [oneof.name for oneof in message.oneofs]
        present = self._one_of([f.name for f in fields if f.has_presence] + declared)
        stub.write(
            f"def HasField(self, field_name: {present}) -> {stub.builtin('bool')}: ...", indent
        )
        clearable = self._one_of([f.name for f in fields] + declared)
        stub.write(f"def ClearField(self, field_name: {clearable}) -> None: ...", indent)
        self._which_oneof(message, indent)

    def _which_oneof(self, message: Message, indent: str) -> None:
        """At run time it knows the oneof of a proto3 `optional` too."""
        stub = self._stub
        oneofs = [oneof.name for oneof in message.proto.oneof_decl]
        members: list[list[str]] = [[] for _ in oneofs]
        for field in message.proto.field:
            if field.HasField("oneof_index"):
                members[field.oneof_index].append(field.name)
        if not oneofs:
            stub.write(
                f"def WhichOneof(self, oneof_group: {self._one_of([])}) -> None: ...", indent
            )
        for oneof, names in zip(oneofs, members, strict=True):
            if len(oneofs) > 1:
                stub.write(f"@{stub.typing('overload')}", indent)
            given, found = self._one_of([oneof]), self._one_of(names)
            stub.write(f"def WhichOneof(self, oneof_group: {given}) -> {found} | None: ...", indent)

    def _one_of(self, names: Sequence[str]) -> str:
        if not names:
            return self._stub.typing("NoReturn")
        listed = '", "'.join(names)
        return f'{self._stub.typing("Literal")}["{listed}"]'

    def _extension(self, field: Field, scope: Collection[str], indent: str) -> None:
        """A handle for `Extensions[…]`, which knows the message and the value that it stands for."""
        stub = self._stub
        nested = bool(indent)
        if writable(field.name, MESSAGE_MEMBERS if nested else MODULE_MEMBERS):
            stub.uses_private_names = True
            handles = stub.module("google.protobuf.internal.extension_dict")
            extended = stub.message_type(field.proto.extendee, scope)
            read = self._types.read(field.proto, scope)
            handle = f"{handles}._ExtensionFieldDescriptor[{extended}, {read}]"
            if nested:
                handle = f"{stub.typing('ClassVar')}[{handle}]"
            stub.write(f"{field.name}: {handle}", indent)
            stub.write_docstring(field, indent)
