"""Editions features: what proto2, proto3 and each edition mean, as descriptor.proto defines it.

A feature that is not set on an element is inherited from what encloses it, and in the end from the
edition's defaults, which are options of FeatureSet's own fields. proto2 and proto3 are editions
with fixed defaults. See https://protobuf.dev/editions/features and the section "Feature
resolution" of protobuf's design documents.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final, Literal

from google.protobuf.descriptor_pb2 import Edition, FeatureSet, FileDescriptorProto
from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

Feature = Literal[
    "enum_type", "field_presence", "json_format", "message_encoding", "utf8_validation"
]

# google/protobuf/cpp_features.proto and java_features.proto, of which Python has no modules.
CPP_FEATURES: Final = 1000
CPP_STRING_TYPE: Final = 2
CPP_VIEW, CPP_CORD, CPP_STRING = 1, 2, 3
JAVA_FEATURES: Final = 1001
JAVA_UTF8_VALIDATION: Final = 2
JAVA_VERIFY: Final = 2


def edition_of(file: FileDescriptorProto) -> int:
    """The edition, where proto2 and proto3 count as ones of their own."""
    if file.syntax == "editions":
        return file.edition
    return Edition.EDITION_PROTO3 if file.syntax == "proto3" else Edition.EDITION_PROTO2


def resolve(name: Feature, edition: int, layers: Iterable[FeatureSet]) -> int:
    """The number of a feature's value; `layers` from the element outwards."""
    if edition >= Edition.EDITION_2023:  # proto2 and proto3 have no way to set one
        for layer in layers:
            if layer.HasField(name):
                return int(getattr(layer, name))
    return _default(name, edition)


def resolve_custom(extension: int, number: int, layers: Iterable[FeatureSet]) -> int | None:
    """A feature of a language, if it is set: field `number` of FeatureSet's `extension`.

    Read from the bytes, since it depends on the rest of the process whether the extension is known.
    """
    for layer in layers:
        for features in _unknown(layer.SerializeToString(), extension):
            assert isinstance(features, bytes)
            for value in _unknown(features, number):
                assert isinstance(value, int)
                return value
    return None


@cache
def _default(name: Feature, edition: int) -> int:
    field = FeatureSet.DESCRIPTOR.fields_by_name[name]
    assert field.enum_type is not None
    defaults = field.GetOptions().edition_defaults
    value = max(
        (default for default in defaults if default.edition <= edition),
        key=lambda default: default.edition,
    ).value
    return int(field.enum_type.values_by_name[value].number)


def _unknown(message: bytes, number: int) -> Iterable[object]:
    fields = UnknownFieldSet(Empty.FromString(message))
    each = (fields[index] for index in range(len(fields)))
    return [field.data for field in each if field.field_number == number]
