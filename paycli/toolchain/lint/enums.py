"""Rules about enums and their values."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import (
    EnumDescriptorProto,
    EnumOptions,
    EnumValueDescriptorProto,
)

from paycli.toolchain.lint.case import upper_snake_case
from paycli.toolchain.lint.elements import Tree
from paycli.toolchain.lint.rules import BASIC, NAME, STANDARD, Complaint, Complaints, rule

_FIRST_NUMBER: Final = (
    EnumDescriptorProto.VALUE_FIELD_NUMBER,
    0,
    EnumValueDescriptorProto.NUMBER_FIELD_NUMBER,
)
_ALLOW_ALIAS: Final = (
    EnumDescriptorProto.OPTIONS_FIELD_NUMBER,
    EnumOptions.ALLOW_ALIAS_FIELD_NUMBER,
)


@rule("ENUM_FIRST_VALUE_ZERO", BASIC)
def enum_first_value_zero(tree: Tree) -> Complaints:
    """The first value of an enum is 0, what proto3 reads when nothing was set."""
    for enum in tree.enums:
        first = enum.proto.value[0]
        if first.number != 0:
            yield Complaint(
                enum.at(*_FIRST_NUMBER),
                f"The first value '{first.name}' of enum '{enum.name}' is {first.number}; "
                "begin with a value 0.",
            )


@rule("ENUM_NO_ALLOW_ALIAS", BASIC)
def enum_no_allow_alias(tree: Tree) -> Complaints:
    """No two values of an enum have one number."""
    for enum in tree.enums:
        if enum.proto.options.allow_alias:
            yield Complaint(
                enum.at(*_ALLOW_ALIAS),
                f"Enum '{enum.name}' allows aliases, which JSON cannot tell apart; "
                "give each value its own number and drop the option.",
            )


@rule("ENUM_VALUE_PREFIX", STANDARD)
def enum_value_prefix(tree: Tree) -> Complaints:
    """Values begin with the name of their enum, since their names share its scope in C++."""
    for value in tree.enum_values:
        prefix = f"{upper_snake_case(value.parent_name)}_"
        name = value.name
        if not name.startswith(prefix):
            yield Complaint(
                value.at(NAME),
                f"Enum value '{name}' does not begin with '{prefix}'; "
                f"write '{prefix}{upper_snake_case(name)}'.",
            )


@rule("ENUM_ZERO_VALUE_SUFFIX", STANDARD)
def enum_zero_value_suffix(tree: Tree) -> Complaints:
    """The value 0 says that nothing was said."""
    suffix = tree.settings.enum_zero_value_suffix
    for value in tree.enum_values:
        if value.proto.number == 0 and not value.name.endswith(suffix):
            yield Complaint(
                value.at(NAME),
                f"Enum value '{value.name}' is 0 and does not end with '{suffix}'; "
                f"keep 0 for '{upper_snake_case(value.parent_name)}{suffix}'.",
            )
