"""Services and messages as text: what they are made of, and what to fill in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from paycli.client.json_values import SCALARS
from paycli.client.plain import map_entry
from paycli.client.schema import Schema, Symbol
from paycli.client.well_known import WRAPPERS
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
        yield from _commented(comments, place, "")
        yield f"{_rpc(symbol)};"
    elif isinstance(symbol, EnumDescriptor):
        yield from _commented(comments, _place(symbol), "")
        yield f"enum {symbol.full_name} {{"
        for value in symbol.values:
            yield from _commented(comments, (*_place(symbol), _VALUES, value.index), "  ")
            yield f"  {value.name} = {value.number};"
        yield "}"
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


def _service(service: ServiceDescriptor, comments: dict[tuple[int, ...], str]) -> Iterator[str]:
    yield from _commented(comments, _place(service), "")
    yield f"service {service.full_name} {{"
    for method in service.methods:
        yield from _commented(comments, (*_place(service), _METHODS, method.index), "  ")
        yield f"  {_rpc(method)};"
    yield "}"


def _rpc(method: MethodDescriptor) -> str:
    takes = "stream " if method.client_streaming else ""
    gives = "stream " if method.server_streaming else ""
    types = (
        f"({takes}{method.input_type.full_name}) returns ({gives}{method.output_type.full_name})"
    )
    return f"rpc {method.name}{types}"


def _message(message: Descriptor, comments: dict[tuple[int, ...], str]) -> Iterator[str]:
    yield from _commented(comments, _place(message), "")
    yield f"message {message.full_name} {{"
    for field in message.fields:
        yield from _commented(comments, (*_place(message), _FIELDS, field.index), "  ")
        yield f"  {_type(field)} {field.name} = {field.number};{_choice(field)}"
    yield "}"


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


def _comments(file: FileDescriptorProto | None) -> dict[tuple[int, ...], str]:
    positions = file.source_code_info.location if file is not None else ()
    return {tuple(each.path): each.leading_comments for each in positions if each.leading_comments}


def _commented(
    comments: dict[tuple[int, ...], str], place: tuple[int, ...], indent: str
) -> Iterator[str]:
    for line in comments.get(place, "").splitlines():
        yield f"{indent}//{line}".rstrip()
