"""The type stub of a proto's messages, enums and extensions (`X_pb2.pyi`)."""

from __future__ import annotations

import keyword
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FeatureSet,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from paycli.toolchain.stubs.comments import Comments, docstring
from paycli.toolchain.stubs.enums import EnumWriter
from paycli.toolchain.stubs.field_types import MESSAGES, FieldTyper, FieldTypes
from paycli.toolchain.stubs.names import (
    MESSAGE_MEMBERS,
    MODULE_MEMBERS,
    Stub,
    Types,
    declared_names,
    writable,
)

# Field numbers of descriptor.proto, of which the paths of comments are made.
_FILE_MESSAGES, _FILE_ENUMS, _FILE_EXTENSIONS = 4, 5, 7
_MESSAGE_FIELDS, _MESSAGE_NESTED, _MESSAGE_ENUMS, _MESSAGE_EXTENSIONS = 2, 3, 4, 6

# What a message adds to `Message`, from google.protobuf.internal.well_known_types.
_MIXINS: Final = frozenset(
    f".google.protobuf.{name}"
    for name in ("Any", "Duration", "FieldMask", "ListValue", "Struct", "Timestamp")
)
# Own methods of each message class, which hide types of the same name within it.
_METHODS: Final = frozenset({"HasField", "ClearField", "WhichOneof"})

_Path = tuple[int, ...]


def message_stub(
    file: FileDescriptorProto,
    files: Mapping[str, FileDescriptorProto],
    types: Types,
    generated: Collection[str],
    said: Comments,
) -> str:
    """The stub of one of the `generated` files, with what is `said` in its comments."""
    public = [file.dependency[index] for index in file.public_dependency]
    exported = {name: set(_exported_names(files[name], files)) for name in public}
    taken = declared_names(file).union(*exported.values())
    stub = Stub(file.name, types, generated, taken, declares_types=True)
    _MessageStub(stub, file, said).write_file()
    own = set(_exported_names(file, {})) if exported else set()
    for name, names in exported.items():
        stub.reexport(name, names - own)
        own |= names
    return stub.text()


def _exported_names(
    file: FileDescriptorProto, files: Mapping[str, FileDescriptorProto]
) -> Iterator[str]:
    """What `import *` finds in the code of a file; with `files`, what it imports publicly too."""
    names = [proto.name for proto in file.message_type]
    names += [proto.name for proto in file.enum_type]
    names += [proto.name for proto in file.extension]
    names += [value.name for enum in file.enum_type for value in enum.value]
    names += [_number_name(extension) for extension in file.extension]
    yield from (name for name in names if writable(name) and not name.startswith("_"))
    for index in file.public_dependency if files else ():
        yield from _exported_names(files[file.dependency[index]], files)


def _number_name(field: FieldDescriptorProto) -> str:
    return f"{field.name.upper()}_FIELD_NUMBER"


class _MessageStub:
    """Writes what one file declares."""

    def __init__(self, stub: Stub, file: FileDescriptorProto, said: Comments) -> None:
        self._stub = stub
        self._file = file
        self._comments = said
        self._enums = EnumWriter(stub, self._comments)
        self._types = FieldTyper(stub)
        self._keyword_classes = 0

    def write_file(self) -> None:
        """All of the file, in the order of messages, enums, extensions."""
        stub, file = self._stub, self._file
        descriptor = stub.module("google.protobuf.descriptor")
        stub.write(f"DESCRIPTOR: {descriptor}.FileDescriptor\n", "")
        package = f".{file.package}." if file.package else "."
        for index, enum in enumerate(file.enum_type):
            name, path = package + enum.name, (_FILE_ENUMS, index)
            self._enums.write(enum, name, path, frozenset(), "")
        for index, message in enumerate(file.message_type):
            self._message(message, package + message.name, (_FILE_MESSAGES, index), "")
        for index, extension in enumerate(file.extension):
            self._extension(extension, (_FILE_EXTENSIONS, index), frozenset(), "")
        self._numbers(file.extension, "")

    def _message(self, message: DescriptorProto, full_name: str, at: _Path, indent: str) -> None:
        stub = self._stub
        name = stub.symbol(full_name).path[-1]
        scope = self._scope(message, full_name)
        inner = indent + "    "
        self._class(name, message.name, self._bases(full_name), at, indent)
        for index, enum in enumerate(message.enum_type):
            path = (*at, _MESSAGE_ENUMS, index)
            self._enums.write(enum, f"{full_name}.{enum.name}", path, scope, inner)
        for index, nested in enumerate(message.nested_type):
            path = (*at, _MESSAGE_NESTED, index)
            self._message(nested, f"{full_name}.{nested.name}", path, inner)
        for index, extension in enumerate(message.extension):
            self._extension(extension, (*at, _MESSAGE_EXTENSIONS, index), scope, inner)
        self._numbers([*message.field, *message.extension], inner)
        fields = [(field, self._types.of(field, scope)) for field in message.field]
        for index, (field, types) in enumerate(fields):
            if writable(field.name, MESSAGE_MEMBERS):
                self._attribute(field, types, (*at, _MESSAGE_FIELDS, index), inner)
        self._constructor(fields, inner)
        self._presence(message, inner)
        stub.write("", "")

    def _scope(self, message: DescriptorProto, full_name: str) -> frozenset[str]:
        """The names that a message's class declares in its body, which hide those of the module."""
        fields = [*message.field, *message.extension]
        types = [nested.name for nested in message.nested_type]
        types += [enum.name for enum in message.enum_type]
        return _METHODS.union(
            (field.name for field in fields),
            map(_number_name, fields),
            (self._stub.symbol(f"{full_name}.{name}").path[-1] for name in types),
            (value.name for enum in message.enum_type for value in enum.value),
        )

    def _bases(self, full_name: str) -> str:
        base = f"{self._stub.module('google.protobuf.message')}.Message"
        if full_name not in _MIXINS:
            return base
        mixins = self._stub.module("google.protobuf.internal.well_known_types")
        return f"{base}, {mixins}.{full_name.rpartition('.')[2]}"

    def _class(self, name: str, proto_name: str, bases: str, at: _Path, indent: str) -> None:
        """The head of a class; one that Python cannot name exists for checkers only."""
        if name != proto_name:
            self._stub.write(f"@{self._stub.typing('type_check_only')}", indent)
        self._stub.write(f"@{self._stub.typing('final')}", indent)
        self._stub.write(f"class {name}({bases}):", indent)
        self._docstring(at, indent + "    ")

    def _docstring(self, at: _Path, indent: str) -> None:
        text = docstring(self._comments.get(at, ""))
        if text:
            self._stub.write(text, indent)

    def _numbers(self, fields: Iterable[FieldDescriptorProto], indent: str) -> None:
        number = self._stub.builtin("int")
        if indent:
            number = f"{self._stub.typing('ClassVar')}[{number}]"
        for name in dict.fromkeys(map(_number_name, fields)):
            self._stub.write(f"{name}: {number}", indent)

    def _attribute(
        self, field: FieldDescriptorProto, types: FieldTypes, at: _Path, indent: str
    ) -> None:
        stub = self._stub
        if types.assign == types.read:
            stub.write(f"{field.name}: {types.read}", indent)
            self._docstring(at, indent)
            return
        text = docstring(self._comments.get(at, ""))
        stub.write(f"@{stub.builtin('property')}", indent)
        stub.write(f"def {field.name}(self) -> {types.read}:{'' if text else ' ...'}", indent)
        if text:
            stub.write(text, indent + "    ")
        if types.assign:
            stub.write(f"@{field.name}.setter", indent)
            stub.write(f"def {field.name}(self, value: {types.assign}) -> None: ...", indent)

    def _constructor(
        self, fields: Sequence[tuple[FieldDescriptorProto, FieldTypes]], indent: str
    ) -> None:
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

    def _presence(self, message: DescriptorProto, indent: str) -> None:
        """The methods that take names of fields and oneofs, with the names that they take."""
        stub, fields = self._stub, message.field
        members: list[list[str]] = [[] for _ in message.oneof_decl]
        for field in fields:
            if field.HasField("oneof_index"):
                members[field.oneof_index].append(field.name)
        made_up = {field.oneof_index for field in fields if field.proto3_optional}
        oneofs = [oneof.name for oneof in message.oneof_decl]
        declared = [name for index, name in enumerate(oneofs) if index not in made_up]
        present = self._one_of([f.name for f in fields if self._has_presence(f)] + declared)
        stub.write(
            f"def HasField(self, field_name: {present}) -> {stub.builtin('bool')}: ...", indent
        )
        clearable = self._one_of([f.name for f in fields] + declared)
        stub.write(f"def ClearField(self, field_name: {clearable}) -> None: ...", indent)
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

    def _has_presence(self, field: FieldDescriptorProto) -> bool:
        if field.label == field.LABEL_REPEATED:
            return False
        if field.type in MESSAGES or field.HasField("oneof_index"):
            return True
        if self._file.syntax != "editions":
            return self._file.syntax != "proto3"
        for options in (field.options, self._file.options):
            if options.features.HasField("field_presence"):
                return options.features.field_presence != FeatureSet.IMPLICIT
        return True

    def _extension(
        self, field: FieldDescriptorProto, at: _Path, scope: Collection[str], indent: str
    ) -> None:
        """A handle for `Extensions[…]`, which knows the message and the value that it stands for."""
        stub = self._stub
        nested = bool(indent)
        if writable(field.name, MESSAGE_MEMBERS if nested else MODULE_MEMBERS):
            stub.uses_private_names = True
            handles = stub.module("google.protobuf.internal.extension_dict")
            extended = stub.message_type(field.extendee, scope)
            read = self._types.read(field, scope)
            handle = f"{handles}._ExtensionFieldDescriptor[{extended}, {read}]"
            if nested:
                handle = f"{stub.typing('ClassVar')}[{handle}]"
            stub.write(f"{field.name}: {handle}", indent)
            self._docstring(at, indent)
