"""Rules about enums and their values."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import (
    EnumDescriptorProto,
    EnumOptions,
    EnumValueDescriptorProto,
)

from paycli.toolchain.lint.case import upper_snake_case
from paycli.toolchain.lint.elements import Elements
from paycli.toolchain.lint.rules import BASIC, MODULES, STANDARD
from paycli.toolchain.protos.places import NAME
from paycli.toolchain.rules.rule import Complaint, Complaints

_FIRST_NUMBER: Final = (
    EnumDescriptorProto.VALUE_FIELD_NUMBER,
    0,
    EnumValueDescriptorProto.NUMBER_FIELD_NUMBER,
)
_ALLOW_ALIAS: Final = (
    EnumDescriptorProto.OPTIONS_FIELD_NUMBER,
    EnumOptions.ALLOW_ALIAS_FIELD_NUMBER,
)


@MODULES.rule("ENUM_FIRST_VALUE_ZERO", *BASIC)
def enum_first_value_zero(module: Elements) -> Complaints:
    """The first value of an enum is 0, what proto3 reads when nothing was set."""
    for enum in module.enums:
        first = enum.proto.value[0]
        if first.number != 0:
            yield Complaint(
                enum.at(*_FIRST_NUMBER),
                f"The first value '{first.name}' of enum '{enum.name}' is {first.number}; "
                "begin with a value 0.",
            )


@MODULES.rule("ENUM_NO_ALLOW_ALIAS", *BASIC)
def enum_no_allow_alias(module: Elements) -> Complaints:
    """No two values of an enum have one number."""
    for enum in module.enums:
        if enum.proto.options.allow_alias:
            yield Complaint(
                enum.at(*_ALLOW_ALIAS),
                f"Enum '{enum.name}' allows aliases, which JSON cannot tell apart; "
                "give each value its own number and drop the option.",
            )


@MODULES.rule("ENUM_VALUE_PREFIX", *STANDARD)
def enum_value_prefix(module: Elements) -> Complaints:
    """Values begin with the name of their enum, since their names share its scope in C++."""
    for value in module.enum_values:
        prefix = f"{upper_snake_case(value.enum.name)}_"
        name = value.name
        if not name.startswith(prefix):
            yield Complaint(
                value.at(NAME),
                f"Enum value '{name}' does not begin with '{prefix}'; "
                f"write '{prefix}{upper_snake_case(name)}'.",
            )


@MODULES.rule("ENUM_ZERO_VALUE_SUFFIX", *STANDARD)
def enum_zero_value_suffix(module: Elements) -> Complaints:
    """The value 0 says that nothing was said."""
    suffix = module.settings.enum_zero_value_suffix
    for value in module.enum_values:
        if value.proto.number == 0 and not value.name.endswith(suffix):
            yield Complaint(
                value.at(NAME),
                f"Enum value '{value.name}' is 0 and does not end with '{suffix}'; "
                f"keep 0 for '{upper_snake_case(value.enum.name)}{suffix}'.",
            )
