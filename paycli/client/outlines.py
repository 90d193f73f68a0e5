"""Services and messages as text: what they are made of, and what to fill in."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, Final

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    SourceCodeInfo,
)
from google.protobuf.text_encoding import CEscape

from paycli.client.json_values import SCALARS, WRAPPERS
from paycli.client.plain import map_entry
from paycli.client.schema import Schema, Symbol
from paycli.errors import RemoteError

_EXAMPLES: Final = {"bool": False, "string": "", "bytes": "", "float": 0.0, "double": 0.0}
_WELL_KNOWN: Final[dict[str, Any]] = {
    "google.protobuf.Timestamp": "2026-01-31T12:00:00Z",
    "google.protobuf.Duration": "1.5s",
    "google.protobuf.FieldMask": "field,other.field",
    "google.protobuf.Empty": {},
    "google.protobuf.Struct": {},
    "google.protobuf.ListValue": [],
    "google.protobuf.Value": None,
    "google.protobuf.Any": {},
}
_KEYS: Final = {"string": "key", "bool": "true"}
_MESSAGES_MAX: Final = 300
_LAST: Final = (2**29 - 1, 2**31 - 2, 2**31 - 1)  # of fields, of a message set's, of enums
_Comments = Mapping[tuple[int, ...], SourceCodeInfo.Location]
_Left = tuple[Descriptor, tuple[str, ...], Callable[[Any], object]]
# Where a descriptor's parts are in the paths of source positions (descriptor.proto).
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_NESTED, _NESTED_ENUMS, _FIELDS, _METHODS, _VALUES = 3, 4, 2, 2, 2


def overview(schema: Schema) -> Iterator[str]:
    """All services with their methods."""
    for name in schema.services:
        try:
            service = schema.service(name)
        except RemoteError as problem:  # the others may be right
            yield f"// {problem}"
            continue
        yield from _service(service, {})


def outline(schema: Schema, symbol: Symbol) -> Iterator[str]:
    """A symbol as its proto has it, with its comments where the descriptors brought them."""
    file = symbol.containing_service.file if isinstance(symbol, MethodDescriptor) else symbol.file
    comments = _comments(schema.files.get(file.name))
    if isinstance(symbol, ServiceDescriptor):
        yield from _service(symbol, comments)
    elif isinstance(symbol, MethodDescriptor):
        place = (*_place(symbol.containing_service), _METHODS, symbol.index)
        yield from _line(comments, place, _rpc(symbol))
    elif isinstance(symbol, EnumDescriptor):
        yield from _enum(symbol, comments)
    else:
        yield from _message(symbol, comments)


def template(message: Descriptor) -> Any:
    """The message as JSON with its fields to fill in, of a oneof the first.

    A message inside itself is empty, or not there if it may not be empty. What comes after the first few
    hundred messages is empty too: an API whose messages have each other has no end otherwise.
    """
    whole: list[Any] = []
    left: deque[_Left] = deque([(message, (), whole.append)])
    room = _MESSAGES_MAX
    while left:
        kind, above, put = left.popleft()
        if kind.full_name in _WELL_KNOWN:
            put(_WELL_KNOWN[kind.full_name])
        elif kind.full_name in WRAPPERS:
            put(_scalar(kind.fields_by_name["value"]))
        else:
            filled: dict[str, Any] = {}
            put(filled)
            if kind.full_name not in above and room:
                room -= 1
                inside = (*above, kind.full_name)
                for field in _to_fill_in(kind, inside):
                    _fill(filled, field, inside, left)
    return whole[0]


def _to_fill_in(message: Descriptor, above: tuple[str, ...]) -> Iterator[FieldDescriptor]:
    for field in message.fields:
        choice = field.containing_oneof
        if choice is not None and choice.fields[0].number != field.number:
            continue
        entry = map_entry(field)
        kind = (entry.fields_by_name["value"] if entry is not None else field).message_type
        if kind is None or kind.full_name not in above or not _requires(kind):
            yield field


def _requires(message: Descriptor) -> bool:
    return any(field.is_required for field in message.fields)


def _fill(
    filled: dict[str, Any], field: FieldDescriptor, above: tuple[str, ...], left: deque[_Left]
) -> None:
    """Put an example of a field into its message; messages are left for later."""
    name, put = field.name, filled.__setitem__
    one, filled[name] = field, None  # the order of the proto, whenever it is filled
    if (entry := map_entry(field)) is not None:
        key, one = entry.fields_by_name["key"], entry.fields_by_name["value"]
        filled[name], name = {}, _KEYS.get(SCALARS[key.type], "0")
        put = filled[field.name].__setitem__
    elif field.is_repeated:
        filled[name] = []
        put = _appending(filled[name])
    if one.message_type is not None:
        left.append((one.message_type, above, partial(put, name)))
    else:
        put(name, _scalar(one))


def _appending(items: list[Any]) -> Callable[[str, Any], None]:
    return lambda _, value: items.append(value)


def _scalar(field: FieldDescriptor) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values[0].name
    return _EXAMPLES.get(SCALARS[field.type], 0)


def _service(service: ServiceDescriptor, comments: _Comments) -> Iterator[str]:
    yield from _line(comments, _place(service), f"service {service.full_name} {{")
    yield from _deprecation(service)
    for method in service.methods:
        place = (*_place(service), _METHODS, method.index)
        yield from _line(comments, place, _rpc(method), "  ")
    yield "}"


def _rpc(method: MethodDescriptor) -> str:
    takes = "stream " if method.client_streaming else ""
    gives = "stream " if method.server_streaming else ""
    types = (
        f"({takes}{method.input_type.full_name}) returns ({gives}{method.output_type.full_name})"
    )
    ends = " { option deprecated = true; }" if method.GetOptions().deprecated else ";"
    return f"rpc {method.name}{types}{ends}"


def _message(message: Descriptor, comments: _Comments) -> Iterator[str]:
    made = DescriptorProto()
    message.CopyToProto(made)
    yield from _line(comments, _place(message), f"message {message.full_name} {{")
    yield from _deprecation(message)
    yield from _kept("reserved", ((each.start, each.end - 1) for each in made.reserved_range))
    yield from _names_kept(made.reserved_name)
    yield from _kept("extensions", ((each.start, each.end - 1) for each in made.extension_range))
    for field, given in zip(message.fields, made.field, strict=True):
        place = (*_place(message), _FIELDS, field.index)
        named = f"{_label(message, field, given)}{_type(field)} {field.name} = {field.number}"
        yield from _line(comments, place, f"{named}{_options(field, given)};{_choice(field)}", "  ")
    yield "}"


def _enum(enum: EnumDescriptor, comments: _Comments) -> Iterator[str]:
    made = EnumDescriptorProto()
    enum.CopyToProto(made)
    yield from _line(comments, _place(enum), f"enum {enum.full_name} {{")
    yield from _deprecation(enum)
    yield from _kept("reserved", ((each.start, each.end) for each in made.reserved_range))
    yield from _names_kept(made.reserved_name)
    for value in enum.values:
        place = (*_place(enum), _VALUES, value.index)
        deprecated = " [deprecated = true]" if value.GetOptions().deprecated else ""
        yield from _line(comments, place, f"{value.name} = {value.number}{deprecated};", "  ")
    yield "}"


def _deprecation(symbol: ServiceDescriptor | Descriptor | EnumDescriptor) -> Iterator[str]:
    if symbol.GetOptions().deprecated:
        yield "  option deprecated = true;"


def _kept(word: str, ranges: Iterable[tuple[int, int]]) -> Iterator[str]:
    """Numbers that no field or value may have; the last of each range is one of them."""
    shown = ", ".join(
        str(first) if first == last else f"{first} to {'max' if last in _LAST else last}"
        for first, last in ranges
    )
    if shown:
        yield f"  {word} {shown};"


def _names_kept(names: Collection[str]) -> Iterator[str]:
    if names:
        yield f"  reserved {', '.join(map(_quoted, names))};"


def _quoted(text: str | bytes) -> str:
    return f'"{CEscape(_text(text).encode(), as_utf8=True)}"'


def _text(said: str | bytes) -> str:
    """Descriptors are of proto2, where a string may be any bytes."""
    return said if isinstance(said, str) else said.decode(errors="replace")


def _label(message: Descriptor, field: FieldDescriptor, given: FieldDescriptorProto) -> str:
    """What stands before the type, but for `repeated`: in proto2 always something, in editions nothing."""
    if field.is_required:
        return "required "
    is_proto2 = given.label == given.LABEL_OPTIONAL and _syntax(message.file) == "proto2"
    is_said = given.proto3_optional or (is_proto2 and field.containing_oneof is None)
    return "optional " if is_said else ""


@cache
def _syntax(file: FileDescriptor) -> str:
    made = FileDescriptorProto()
    file.CopyToProto(made)
    return made.syntax or "proto2"


def _options(field: FieldDescriptor, given: FieldDescriptorProto) -> str:
    said = []
    if given.HasField("default_value"):
        value = given.default_value  # of bytes, escaped already
        text = {given.TYPE_STRING: _quoted(value), given.TYPE_BYTES: f'"{_text(value)}"'}
        said.append(f"default = {text.get(given.type, value)}")
    if given.json_name not in ("", re.sub("_+(.?)", lambda found: found[1].upper(), field.name)):
        said.append(f"json_name = {_quoted(given.json_name)}")
    if field.GetOptions().deprecated:
        said.append("deprecated = true")
    return f" [{', '.join(said)}]" if said else ""


def _choice(field: FieldDescriptor) -> str:
    """Of which fields it is one; `optional` is one of itself."""
    choice = field.containing_oneof
    return "" if choice is None or len(choice.fields) < 2 else f"  // one of {choice.name}"


def _type(field: FieldDescriptor) -> str:
    if (entry := map_entry(field)) is not None:
        key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
        return f"map<{_name(key)}, {_name(value)}>"
    return f"repeated {_name(field)}" if field.is_repeated else _name(field)


def _name(field: FieldDescriptor) -> str:
    kind = field.message_type or field.enum_type
    return str(kind.full_name) if kind is not None else SCALARS[field.type]


def _place(symbol: ServiceDescriptor | Descriptor | EnumDescriptor) -> tuple[int, ...]:
    """The path of a symbol in the source positions of its file."""
    if isinstance(symbol, ServiceDescriptor):
        return _SERVICES, symbol.index
    outer, is_enum = symbol.containing_type, isinstance(symbol, EnumDescriptor)
    if outer is None:
        kind = _ENUMS if is_enum else _MESSAGES
        beside = symbol.file.enum_types_by_name if is_enum else symbol.file.message_types_by_name
        return kind, list(beside).index(symbol.name)
    kind = _NESTED_ENUMS if is_enum else _NESTED
    inside = [each.name for each in (outer.enum_types if is_enum else outer.nested_types)]
    return (*_place(outer), kind, inside.index(symbol.name))


def _comments(file: FileDescriptorProto | None) -> _Comments:
    positions = file.source_code_info.location if file is not None else ()
    return {tuple(each.path): each for each in positions}


def _line(
    comments: _Comments, place: tuple[int, ...], text: str, indent: str = ""
) -> Iterator[str]:
    """What is declared, after the comment above it and before the one that follows it."""
    position = comments.get(place)
    if position is None:
        yield f"{indent}{text}"
        return
    for line in _text(position.leading_comments).splitlines():
        yield f"{indent}//{line}".rstrip()
    after = " ".join(_text(position.trailing_comments).split())
    yield f"{indent}{text}  // {after}" if after else f"{indent}{text}"
