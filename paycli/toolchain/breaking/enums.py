"""Rules that compare two versions of an enum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from google.protobuf.descriptor_pb2 import (
    EnumDescriptorProto,
    EnumOptions,
    EnumValueDescriptorProto,
    FeatureSet,
)

from paycli.toolchain.breaking.ranges import lost_ranges
from paycli.toolchain.breaking.rules import (
    ALWAYS,
    ENUMS,
    IN_JSON,
    IN_SOURCE,
    WIRE,
    WIRE_JSON,
    broken,
)
from paycli.toolchain.protos.descriptors import Enum, EnumValue
from paycli.toolchain.protos.editions import resolve
from paycli.toolchain.protos.places import SELF
from paycli.toolchain.rules.rule import Complaints

_FEATURES: Final = (EnumDescriptorProto.OPTIONS_FIELD_NUMBER, EnumOptions.FEATURES_FIELD_NUMBER)
_ENUM_TYPE: Final = (*_FEATURES, FeatureSet.ENUM_TYPE_FIELD_NUMBER)
_JSON_FORMAT: Final = (*_FEATURES, FeatureSet.JSON_FORMAT_FIELD_NUMBER)
_NUMBER: Final = (EnumValueDescriptorProto.NUMBER_FIELD_NUMBER,)


@ENUMS.rule("ENUM_VALUE_NO_DELETE", *IN_SOURCE)
def enum_value_no_delete(old: Enum, new: Enum) -> Complaints:
    """Numbers stay; a name may go while another name of its number stays."""
    return _deleted_values(old, new, _never, "")


@ENUMS.rule("ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED", WIRE_JSON, WIRE)
def enum_value_no_delete_unless_number_reserved(old: Enum, new: Enum) -> Complaints:
    """A deleted number is never given to another value."""
    ranges = new.proto.reserved_range

    def reserved(values: Sequence[EnumValue]) -> bool:
        return any(each.start <= values[0].number <= each.end for each in ranges)

    return _deleted_values(old, new, reserved, " without reserving its number")


@ENUMS.rule("ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED", WIRE_JSON)
def enum_value_no_delete_unless_name_reserved(old: Enum, new: Enum) -> Complaints:
    """The names of a deleted number, how JSON says it, are never given to another value."""
    names = set(new.proto.reserved_name)
    return _deleted_values(
        old,
        new,
        lambda values: all(value.name in names for value in values),
        " without reserving its name",
    )


@ENUMS.rule("ENUM_VALUE_SAME_NAME", *IN_JSON)
def enum_value_same_name(old: Enum, new: Enum) -> Complaints:
    """A number keeps its names: JSON says the name."""
    for number, before in old.values_by_number.items():
        after = new.values_by_number.get(number, [])
        gone = {value.name for value in before} - {value.name for value in after}
        for value in after if gone else ():
            yield broken(
                value.at(*_NUMBER),
                f'Value {number} of "{new.nested_name}" is now "{value.name}" and no longer '
                + " or ".join(f'"{name}"' for name in sorted(gone)),
                "a client that sends the old name in JSON is answered INVALID_ARGUMENT",
            )


@ENUMS.rule("ENUM_SAME_TYPE", *IN_SOURCE)
def enum_same_type(old: Enum, new: Enum) -> Complaints:
    """Open enums keep numbers they do not know, closed ones put them aside."""
    before, after = (
        FeatureSet.EnumType.Name(
            FeatureSet.EnumType.ValueType(resolve("enum_type", each.file.edition, each.features))
        ).lower()
        for each in (old, new)
    )
    if before != after:
        yield broken(
            new.at_first(_ENUM_TYPE, _FEATURES, SELF),
            f'Enum "{new.nested_name}" changed from {before} to {after}',
            "numbers that a client does not know are treated in another way",
        )


@ENUMS.rule("ENUM_SAME_JSON_FORMAT", *IN_JSON)
def enum_same_json_format(old: Enum, new: Enum) -> Complaints:
    """JSON that was supported stays supported."""
    before, after = (
        resolve("json_format", enum.file.edition, enum.features) for enum in (old, new)
    )
    if before == FeatureSet.ALLOW != after:
        yield broken(
            new.at_first(_JSON_FORMAT, _FEATURES, SELF),
            f'JSON of enum "{new.nested_name}" is now best effort only',
            "a client that speaks JSON may be answered with names it does not know",
        )


@ENUMS.rule("RESERVED_ENUM_NO_DELETE", *ALWAYS)
def reserved_enum_no_delete(old: Enum, new: Enum) -> Complaints:
    """What is reserved stays reserved: old clients may still send it."""
    effect = "a new value there would be meant by what old clients still send"
    before, after = (
        [(each.start, each.end) for each in enum.proto.reserved_range] for enum in (old, new)
    )
    for lost in lost_ranges(before, after):
        yield broken(new.at(), f'Reserved {lost} of "{new.nested_name}" was deleted', effect)
    for name in sorted(set(old.proto.reserved_name) - set(new.proto.reserved_name)):
        yield broken(new.at(), f'Reserved name "{name}" of "{new.nested_name}" was deleted', effect)


def _never(_: Sequence[EnumValue]) -> bool:
    return False


def _deleted_values(
    old: Enum, new: Enum, excused: Callable[[Sequence[EnumValue]], bool], how: str
) -> Complaints:
    for number, values in old.values_by_number.items():
        if number not in new.values_by_number and not excused(values):
            names = " or ".join(f'"{value.name}"' for value in values)
            what = f'Value {number} {names} of "{new.nested_name}" was deleted{how}'
            effect = f"a client that still sends {number} means a value that nobody knows"
            yield broken(new.at(), what, effect)
