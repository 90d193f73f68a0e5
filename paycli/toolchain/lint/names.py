"""Rules about how things are spelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from paycli.toolchain.lint.case import lower_snake_case, pascal_case, upper_snake_case
from paycli.toolchain.lint.elements import Element, Proto, Tree
from paycli.toolchain.lint.rules import BASIC, NAME, STANDARD, Complaint, Complaints, rule


def _misspelled(
    what: str, elements: Iterable[Element[Proto]], case: Callable[[str], str], called: str
) -> Complaints:
    for element in elements:
        name = element.name
        wanted = case(name)
        if name != wanted:
            yield Complaint(element.at(NAME), f"{what} '{name}' is not {called}; write '{wanted}'.")


@rule("MESSAGE_PASCAL_CASE", BASIC)
def message_pascal_case(tree: Tree) -> Complaints:
    """Messages are PascalCase."""
    return _misspelled("Message", tree.messages, pascal_case, "PascalCase")


@rule("ENUM_PASCAL_CASE", BASIC)
def enum_pascal_case(tree: Tree) -> Complaints:
    """Enums are PascalCase."""
    return _misspelled("Enum", tree.enums, pascal_case, "PascalCase")


@rule("SERVICE_PASCAL_CASE", BASIC)
def service_pascal_case(tree: Tree) -> Complaints:
    """Services are PascalCase."""
    return _misspelled("Service", tree.services, pascal_case, "PascalCase")


@rule("RPC_PASCAL_CASE", BASIC)
def rpc_pascal_case(tree: Tree) -> Complaints:
    """RPCs are PascalCase."""
    return _misspelled("RPC", tree.methods, pascal_case, "PascalCase")


@rule("FIELD_LOWER_SNAKE_CASE", BASIC)
def field_lower_snake_case(tree: Tree) -> Complaints:
    """Fields and extensions are lower_snake_case."""
    return _misspelled("Field", tree.fields, lower_snake_case, "lower_snake_case")


@rule("ONEOF_LOWER_SNAKE_CASE", BASIC)
def oneof_lower_snake_case(tree: Tree) -> Complaints:
    """Oneofs are lower_snake_case."""
    return _misspelled("Oneof", tree.oneofs, lower_snake_case, "lower_snake_case")


@rule("ENUM_VALUE_UPPER_SNAKE_CASE", BASIC)
def enum_value_upper_snake_case(tree: Tree) -> Complaints:
    """Enum values are UPPER_SNAKE_CASE."""
    return _misspelled("Enum value", tree.enum_values, upper_snake_case, "UPPER_SNAKE_CASE")


@rule("FILE_LOWER_SNAKE_CASE", STANDARD)
def file_lower_snake_case(tree: Tree) -> Complaints:
    """Files are lower_snake_case.proto."""
    for file in tree.files:
        stem = PurePosixPath(file.name).stem
        wanted = lower_snake_case(stem)
        if stem != wanted:
            yield Complaint(
                file.at(),
                f"File '{stem}.proto' is not lower_snake_case; call it '{wanted}.proto'.",
            )


@rule("SERVICE_SUFFIX", STANDARD)
def service_suffix(tree: Tree) -> Complaints:
    """Services end with one suffix."""
    suffix = tree.settings.service_suffix
    for service in tree.services:
        name = service.name
        if not name.endswith(suffix):
            yield Complaint(
                service.at(NAME),
                f"Service '{name}' does not end with '{suffix}'; write '{name}{suffix}'.",
            )
