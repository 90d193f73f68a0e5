"""Rules that compare what a field's options, and features, make of it in generated code."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import (
    Edition,
    FeatureSet,
    FieldDescriptorProto,
    FieldOptions,
    FileDescriptorProto,
    FileOptions,
)

from paycli.toolchain.breaking.rules import FIELDS, IN_SOURCE, broken
from paycli.toolchain.protos.descriptors import Field, Kind
from paycli.toolchain.protos.editions import (
    CPP_CORD,
    CPP_FEATURES,
    CPP_STRING,
    CPP_STRING_TYPE,
    CPP_VIEW,
    JAVA_FEATURES,
    JAVA_UTF8_VALIDATION,
    JAVA_VERIFY,
    resolve,
    resolve_custom,
)
from paycli.toolchain.protos.places import SELF, Path
from paycli.toolchain.rules.rule import Complaints

_OPTIONS: Final = FieldDescriptorProto.OPTIONS_FIELD_NUMBER
_JSTYPE: Final = (_OPTIONS, FieldOptions.JSTYPE_FIELD_NUMBER)
_CTYPE: Final = (_OPTIONS, FieldOptions.CTYPE_FIELD_NUMBER)
_FEATURES: Final = (_OPTIONS, FieldOptions.FEATURES_FIELD_NUMBER)
_UTF8: Final = (*_FEATURES, FeatureSet.UTF8_VALIDATION_FIELD_NUMBER)
_JAVA_CHECK: Final = (
    FileDescriptorProto.OPTIONS_FIELD_NUMBER,
    FileOptions.JAVA_STRING_CHECK_UTF8_FIELD_NUMBER,
)
_INT64: Final = frozenset(
    {
        FieldDescriptorProto.TYPE_INT64,
        FieldDescriptorProto.TYPE_UINT64,
        FieldDescriptorProto.TYPE_SINT64,
        FieldDescriptorProto.TYPE_FIXED64,
        FieldDescriptorProto.TYPE_SFIXED64,
    }
)
_STRING: Final = frozenset({FieldDescriptorProto.TYPE_STRING})
_TEXT: Final = frozenset({FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_BYTES})
_CPP_TYPES: Final = {CPP_VIEW: "VIEW", CPP_CORD: "CORD", CPP_STRING: "STRING"}


@FIELDS.rule("FIELD_SAME_JSTYPE", *IN_SOURCE)
def field_same_jstype(old: Field, new: Field) -> Complaints:
    """In JavaScript a 64-bit number is a number or a string by this option."""
    if not _both(old, new, _INT64):
        return
    before, after = (field.proto.options.jstype for field in (old, new))
    if before != after:
        name = FieldOptions.JSType.Name
        yield broken(
            new.at_first(_JSTYPE, SELF),
            f"{new} changed its jstype from {name(before)} to {name(after)}",
            "JavaScript code of a client reads another type",
        )


@FIELDS.rule("FIELD_SAME_UTF8_VALIDATION", *IN_SOURCE)
def field_same_utf8_validation(old: Field, new: Field) -> Complaints:
    """Whether a string must be UTF-8 stays as it is."""
    if not _both(old, new, _STRING):
        return
    before, after = (_utf8_validation(field) for field in (old, new))
    if before != after:
        yield broken(
            new.at_first(_UTF8, _FEATURES, SELF),
            f"{new} changed its UTF-8 validation from {before} to {after}",
            "a string that one side sends may be refused by the other",
        )


@FIELDS.rule("FIELD_SAME_JAVA_UTF8_VALIDATION", *IN_SOURCE)
def field_same_java_utf8_validation(old: Field, new: Field) -> Complaints:
    """Whether Java refuses a string that is no UTF-8 stays as it is."""
    if not _both(old, new, _STRING):
        return
    before, after = (_java_utf8_validation(field) for field in (old, new))
    if before != after:
        file_wide = new.file.at_first(_JAVA_CHECK)
        own = new.at_first(*_custom_feature(JAVA_FEATURES, JAVA_UTF8_VALIDATION), SELF)
        yield broken(
            own if file_wide == new.file.at() else file_wide,
            f"{new} changed its UTF-8 validation in Java from {before} to {after}",
            "a string that another client sends may be refused by a Java one",
        )


@FIELDS.rule("FIELD_SAME_CPP_STRING_TYPE", *IN_SOURCE)
def field_same_cpp_string_type(old: Field, new: Field) -> Complaints:
    """The C++ type of a text stays; only STRING_PIECE may become STRING, which it was anyway."""
    if not _both(old, new, _TEXT) or (old.in_map_entry and new.in_map_entry):
        return
    before, after = _cpp_string_type(old), _cpp_string_type(new)
    if before != after and (before, after) != ("STRING_PIECE", "STRING"):
        yield broken(
            new.at_first(_CTYPE, *_custom_feature(CPP_FEATURES, CPP_STRING_TYPE), SELF),
            f"{new} changed its C++ type from {before} to {after}",
            "C++ code of a client that reads or sets it no longer builds",
        )


def _both(old: Field, new: Field, kinds: frozenset[Kind]) -> bool:
    return old.kind in kinds and new.kind in kinds


def _utf8_validation(field: Field) -> str:
    number = resolve("utf8_validation", field.file.edition, field.features)
    return FeatureSet.Utf8Validation.Name(FeatureSet.Utf8Validation.ValueType(number))


def _java_utf8_validation(field: Field) -> str:
    """By the file's option, for which editions have a feature."""
    if field.file.proto.syntax == "editions":
        feature = resolve_custom(JAVA_FEATURES, JAVA_UTF8_VALIDATION, field.features)
        verified = feature == JAVA_VERIFY
    else:
        verified = field.file.proto.options.java_string_check_utf8
    return "VERIFY" if verified else _utf8_validation(field)


def _cpp_string_type(field: Field) -> str:
    """By `ctype`, which edition 2024 took away, else by the feature."""
    options = field.proto.options
    if field.file.edition < Edition.EDITION_2024 and options.HasField("ctype"):
        return FieldOptions.CType.Name(options.ctype)
    default = CPP_VIEW if field.file.edition >= Edition.EDITION_2024 else CPP_STRING
    feature = resolve_custom(CPP_FEATURES, CPP_STRING_TYPE, field.features)
    return _CPP_TYPES.get(feature or default, "STRING")


def _custom_feature(extension: int, number: int) -> tuple[Path, ...]:
    """Where a language's feature is set: by itself, or in braces around it."""
    return (*_FEATURES, extension, number), (*_FEATURES, extension), _FEATURES
