"""The messages of google.protobuf that JSON has a form of its own for."""

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
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

_PACKAGE: Final = "google.protobuf"
_OWN: Final = {
    name: message
    for own in (any_pb2, duration_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
    for name, message in own.DESCRIPTOR.message_types_by_name.items()
}
WRAPPERS: Final = frozenset(
    message.full_name for message in wrappers_pb2.DESCRIPTOR.message_types_by_name.values()
)


def faked(file: FileDescriptorProto) -> Iterator[str]:
    """The full names of those that a file declares as something else than they are."""
    if file.package != _PACKAGE:
        return
    for given in file.message_type:
        own = _OWN.get(given.name)
        if own is not None and not _fields_of(own) <= _fields_of(given):
            yield own.full_name


def _fields_of(message: Descriptor | DescriptorProto) -> set[tuple[str, int, int, int]]:
    if isinstance(message, Descriptor):
        made = DescriptorProto()
        message.CopyToProto(made)
        message = made
    return {(each.name, each.number, each.type, each.label) for each in message.field}
