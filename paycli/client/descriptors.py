"""Descriptors of somebody else, looked at before protobuf's pool has them: it trusts what they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from google.protobuf import (
    any_pb2,
    duration_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

_Key = tuple[str, int, int, int]
# The messages that JSON has a form of its own for.
_OWN: Final = {
    name: message
    for own in (any_pb2, duration_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
    for name, message in own.DESCRIPTOR.message_types_by_name.items()
}
_ENTRY: Final = [("key", 1), ("value", 2)]


def flaws(file: FileDescriptorProto) -> Iterator[str]:
    """What is wrong with a file that the pool would take."""
    if odd := next((each for each in (file.name, *file.dependency) if not _is_name(each)), None):
        yield f"a file is called {odd!a}"
    for name, message in messages_of(file):
        if file.package == "google.protobuf" and _is_faked(message):
            yield f"{file.name} declares a {name} that is not protobuf's own"
        if message.options.map_entry and not _is_entry(message):
            yield f"{file.name} has a map, {name}, that is not made of keys and values"


def messages_of(file: FileDescriptorProto) -> Iterator[tuple[str, DescriptorProto]]:
    """By their full names, with those that maps are made of."""
    left = [(file.package, each) for each in file.message_type]
    while left:
        outer, message = left.pop()
        name = f"{outer}.{message.name}".lstrip(".")
        yield name, message
        left += ((name, each) for each in message.nested_type)


def _is_name(name: str | bytes) -> bool:
    """Descriptors are of proto2, where a string may be any bytes."""
    return isinstance(name, str) and name.isprintable()


def _is_faked(given: DescriptorProto) -> bool:
    own = _OWN.get(given.name)
    if own is None:
        return False
    made = DescriptorProto()
    own.CopyToProto(made)
    return not {*map(_said, made.field)} <= {*map(_said, given.field)}


def _said(field: FieldDescriptorProto) -> _Key:
    return field.name, field.number, field.type, field.label


def _is_entry(message: DescriptorProto) -> bool:
    is_single = all(each.label != each.LABEL_REPEATED for each in message.field)
    return is_single and [(each.name, each.number) for each in message.field] == _ENTRY
