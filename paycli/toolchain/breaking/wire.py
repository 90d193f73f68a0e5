"""Which types and cardinalities of a field can stand in for one another.

Two kinds in one group read each other's bytes as values of the same meaning, as far as they fit;
see https://protobuf.dev/programming-guides/encoding and, for what may change,
https://protobuf.dev/programming-guides/proto3/#updating. A kind with no group is like itself only.
Where bytes are compatible for some values alone (bytes that hold UTF-8 or a message, an enum's
numbers), a schema cannot promise it, and the kinds stand apart.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from paycli.toolchain.protos.descriptors import Field, Kind

_F = FieldDescriptorProto

# Varints, zigzag varints, and the two fixed widths, signed and not.
WIRE_TYPES: Final[tuple[frozenset[Kind], ...]] = (
    frozenset({_F.TYPE_INT32, _F.TYPE_UINT32, _F.TYPE_INT64, _F.TYPE_UINT64, _F.TYPE_BOOL}),
    frozenset({_F.TYPE_SINT32, _F.TYPE_SINT64}),
    frozenset({_F.TYPE_FIXED32, _F.TYPE_SFIXED32}),
    frozenset({_F.TYPE_FIXED64, _F.TYPE_SFIXED64}),
)
# JSON writes 32 bits as a number and 64 as a string (https://protobuf.dev/programming-guides/json),
# and a bool as neither: only the same width is compatible in both.
WIRE_JSON_TYPES: Final[tuple[frozenset[Kind], ...]] = (
    frozenset({_F.TYPE_INT32, _F.TYPE_UINT32}),
    frozenset({_F.TYPE_INT64, _F.TYPE_UINT64}),
    frozenset({_F.TYPE_FIXED32, _F.TYPE_SFIXED32}),
    frozenset({_F.TYPE_FIXED64, _F.TYPE_SFIXED64}),
)

EXPLICIT: Final = "optional with presence"
IMPLICIT: Final = "optional without presence"
REQUIRED: Final = "required"
REPEATED: Final = "repeated"
MAP: Final = "a map"

# A map is on the wire a repeated message of key and value; in JSON it is an object, no list.
WIRE_CARDINALITIES: Final = (frozenset({EXPLICIT, IMPLICIT}), frozenset({REPEATED, MAP}))
WIRE_JSON_CARDINALITIES: Final = (frozenset({EXPLICIT, IMPLICIT}),)


def compatible(old: object, new: object, groups: tuple[frozenset[object], ...]) -> bool:
    """Whether the two are the same or stand in one group."""
    return old == new or any(old in group and new in group for group in groups)


def cardinality(field: Field) -> str:
    """How many values a field holds, and whether one that is not set can be told from zero."""
    if field.proto.label == _F.LABEL_REPEATED:
        return MAP if field.is_map else REPEATED
    if field.is_required:
        return REQUIRED
    return EXPLICIT if field.has_presence else IMPLICIT


def kind_name(field: Field) -> str:
    """The type as a proto says it: `int32`, or the name of a message or an enum."""
    if field.kind == _F.TYPE_GROUP and field.proto.type != _F.TYPE_GROUP:
        return f"{field.type_name} (delimited)"
    return field.type_name or _F.Type.Name(field.kind).removeprefix("TYPE_").lower()
