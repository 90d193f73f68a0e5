"""The value of a field that is not set, as a value that compares across types."""

from __future__ import annotations

import struct
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.text_encoding import CUnescape

from paycli.toolchain.protos.descriptors import MESSAGE_TYPES, Field

_F = FieldDescriptorProto
_FLOATS: Final = {_F.TYPE_FLOAT, _F.TYPE_DOUBLE}


def has_default(field: Field) -> bool:
    """Whether it is one value, and no message."""
    return field.proto.label != _F.LABEL_REPEATED and field.kind not in MESSAGE_TYPES


def defaults_differ(old: Field, new: Field) -> bool:
    """Whether the two mean another value; nothing at all is zero, false and empty text."""
    single = {old.kind, new.kind} == _FLOATS  # a float is never exactly the double 0.1
    before, after = _value(old, single=single), _value(new, single=single)
    return before != after and bool(before or after)


def show_default(field: Field) -> str:
    """The default as a proto says it."""
    said = field.proto.default_value
    if field.kind in {_F.TYPE_STRING, _F.TYPE_BYTES}:
        return f'"{said}"'
    return said or str(_value(field, single=False)).lower()


def _value(field: Field, *, single: bool) -> bytes | float | str:
    """Text as bytes, everything else as a number; not-a-number as a string, equal to itself."""
    said = field.proto.default_value
    kind = field.kind
    if kind == _F.TYPE_STRING:
        return said.encode()
    if kind == _F.TYPE_BYTES:
        return bytes(CUnescape(said))
    if kind == _F.TYPE_ENUM:
        return _enum_number(field, said)
    if kind == _F.TYPE_BOOL:
        return said == "true"
    if kind in _FLOATS:
        return _float(said or "0", single=single or kind == _F.TYPE_FLOAT)
    return int(said or "0")


def _enum_number(field: Field, name: str) -> int:
    enum = field.file.schema.all_enums.get(field.type_name)
    if enum is None:  # a descriptor set without its imports
        return 0
    values = enum.proto.value
    return next((value.number for value in values if value.name == name), values[0].number)


def _float(said: str, *, single: bool) -> float | str:
    value = float(said)
    if value != value:
        return "nan"
    if not single:
        return value
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
