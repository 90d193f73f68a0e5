"""Random proto trees as descriptors, with the names that code generators trip over."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf import timestamp_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.descriptor_pool import DescriptorPool
from hypothesis import assume
from hypothesis import strategies as st

Field = FieldDescriptorProto
HOSTILE = """
    Any Clear DESCRIPTOR Enum EnumList EnumMap Extensions False HasField Iterable Keywords List
    Literal Mapping Message Name None Optional Requests Stub True UnaryUnary Value ValueType _
    _Enum _EnumList _Key _abc _builtins _message _typing __init__ __slots__ abc as async await bool
    builtins bytes cls class datetime def dict float from global grpc import in int is items keys
    kwargs lambda list match message mro object optional print property self slice str tuple type
    typing value values yield
""".split()  # noqa: SIM905 - a word list reads better
NAMES = st.sampled_from(HOSTILE) | st.from_regex(r"[A-Za-z][a-z_]{0,5}[a-z]", fullmatch=True)
FOLDERS = st.sampled_from(["", "a/", "a/b/", "a/c/", "import/v1/", "d-e/", "list/"])
SCALARS = [
    kind
    for kind in Field.Type.values()
    if kind not in {Field.TYPE_GROUP, Field.TYPE_MESSAGE, Field.TYPE_ENUM}
]
KEYS = [Field.TYPE_STRING, Field.TYPE_INT32, Field.TYPE_BOOL]


def _plain(name: str) -> str:
    """Names that differ in this pass protoc's rules on JSON names."""
    return name.replace("_", "").lower()


@st.composite
def trees(draw: st.DrawFn) -> FileDescriptorSet:
    """A few files that import one another, messages and enums nested and in any relation."""
    files = FileDescriptorSet()
    known: dict[str, bool] = {".google.protobuf.Timestamp": False}  # name → whether it is an enum
    timestamp_pb2.DESCRIPTOR.CopyToProto(files.file.add())
    for number in range(draw(st.integers(1, 3))):
        file = files.file.add(syntax=draw(st.sampled_from(["proto2", "proto3"])))
        file.name = f"{draw(FOLDERS)}file-{number}.proto"
        file.package = f"package{number}"
        file.dependency.extend(each.name for each in files.file[:-1])
        names = draw(st.lists(NAMES, min_size=1, max_size=5, unique_by=_plain))
        half = draw(st.integers(1, len(names)))
        messages = [
            (file.message_type.add(name=name), f".package{number}.{name}") for name in names[:half]
        ]
        scope = set(names)
        for name in names[half:]:
            _fill_enum(draw, file.enum_type.add(name=name), scope)
            known[f".package{number}.{name}"] = True
        known |= {name: False for _, name in messages}
        for message, name in tuple(messages):
            for inner in draw(st.lists(NAMES, max_size=2, unique_by=_plain)):
                messages.append((message.nested_type.add(name=inner), f"{name}.{inner}"))
                known[f"{name}.{inner}"] = False
        for message, name in messages:
            _fill_message(draw, message, name, file.syntax, known)
        if draw(st.booleans()):
            _add_services(draw, file, [name for name, is_enum in known.items() if not is_enum])
    _assume_valid(files.file)
    return files


def _fill_enum(draw: st.DrawFn, enum: EnumDescriptorProto, scope: set[str]) -> None:
    """Values, which lie in the scope that the enum itself lies in."""
    free = NAMES.filter(lambda name: name not in scope)
    for value, name in enumerate(draw(st.lists(free, min_size=1, max_size=3, unique_by=_plain))):
        enum.value.add(name=name, number=value)
        scope.add(name)


def _fill_message(
    draw: st.DrawFn, message: DescriptorProto, full_name: str, syntax: str, known: dict[str, bool]
) -> None:
    scope = {nested.name for nested in message.nested_type}
    free = NAMES.filter(lambda name: name not in scope)
    names: list[str] = draw(st.lists(free, max_size=7, unique_by=_plain))
    has_oneof: bool = draw(st.booleans())
    if names and has_oneof:
        message.oneof_decl.add(name=names.pop())
    scope.update(names)
    for inner in names[5:]:
        names.remove(inner)
        enum = message.enum_type.add(name=inner)
        _fill_enum(draw, enum, scope)
        known[f"{full_name}.{inner}"] = True
    for number, name in enumerate(names, 1):
        field = message.field.add(name=name, number=number, label=Field.LABEL_OPTIONAL)
        kind = draw(st.sampled_from(["scalar", "typed", "map", "repeated", "oneof", "optional"]))
        if kind == "map":
            entry = message.nested_type.add(name=f"{_camel(name)}Entry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, type=draw(st.sampled_from(KEYS)), label=1)
            _give_type(draw, entry.field.add(name="value", number=2, label=1), known)
            field.type, field.label = Field.TYPE_MESSAGE, Field.LABEL_REPEATED
            field.type_name = f"{full_name}.{entry.name}"
            continue
        if kind == "scalar":
            field.type = draw(st.sampled_from(SCALARS))
        else:
            _give_type(draw, field, known)
        if kind == "repeated":
            field.label = Field.LABEL_REPEATED
        elif kind == "oneof" and message.oneof_decl:
            field.oneof_index = 0
    _mend_oneofs(message, syntax)


def _mend_oneofs(message: DescriptorProto, syntax: str) -> None:
    """No oneof without fields; and in proto3 the first field `optional`, if it can be."""
    if message.oneof_decl and not any(field.HasField("oneof_index") for field in message.field):
        del message.oneof_decl[:]
    if syntax == "proto3" and message.field:
        first = message.field[0]
        if first.label == Field.LABEL_OPTIONAL and not first.HasField("oneof_index"):
            first.proto3_optional = True
            first.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{first.name}")


def _give_type(draw: st.DrawFn, field: FieldDescriptorProto, known: dict[str, bool]) -> None:
    name = draw(st.sampled_from(sorted(known)))
    field.type_name = name
    field.type = Field.TYPE_ENUM if known[name] else Field.TYPE_MESSAGE


def _add_services(draw: st.DrawFn, file: FileDescriptorProto, messages: list[str]) -> None:
    service = file.service.add(name=f"{draw(NAMES)}Service")
    for name in draw(st.lists(NAMES, max_size=4, unique_by=_plain)):
        service.method.add(
            name=name,
            input_type=draw(st.sampled_from(messages)),
            output_type=draw(st.sampled_from(messages)),
            client_streaming=draw(st.booleans()),
            server_streaming=draw(st.booleans()),
        )


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _assume_valid(files: Iterable[FileDescriptorProto]) -> None:
    """What protobuf itself refuses (two things of one name in a scope) is no case of ours."""
    pool = DescriptorPool()
    for file in files:
        try:
            pool.AddSerializedFile(file.SerializeToString())
        except TypeError:
            assume(False)
