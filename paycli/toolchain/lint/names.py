"""Rules about how things are spelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from paycli.toolchain.lint.case import lower_snake_case, pascal_case, upper_snake_case
from paycli.toolchain.lint.elements import Elements
from paycli.toolchain.lint.rules import BASIC, MODULES, STANDARD
from paycli.toolchain.protos.descriptors import Element, Proto
from paycli.toolchain.protos.places import NAME
from paycli.toolchain.rules.rule import Complaint, Complaints


def _misspelled(
    what: str, elements: Iterable[Element[Proto]], case: Callable[[str], str], called: str
) -> Complaints:
    for element in elements:
        name = element.name
        wanted = case(name)
        if name != wanted:
            yield Complaint(element.at(NAME), f"{what} '{name}' is not {called}; write '{wanted}'.")


@MODULES.rule("MESSAGE_PASCAL_CASE", *BASIC)
def message_pascal_case(module: Elements) -> Complaints:
    """Messages are PascalCase."""
    return _misspelled("Message", module.messages, pascal_case, "PascalCase")


@MODULES.rule("ENUM_PASCAL_CASE", *BASIC)
def enum_pascal_case(module: Elements) -> Complaints:
    """Enums are PascalCase."""
    return _misspelled("Enum", module.enums, pascal_case, "PascalCase")


@MODULES.rule("SERVICE_PASCAL_CASE", *BASIC)
def service_pascal_case(module: Elements) -> Complaints:
    """Services are PascalCase."""
    return _misspelled("Service", module.services, pascal_case, "PascalCase")


@MODULES.rule("RPC_PASCAL_CASE", *BASIC)
def rpc_pascal_case(module: Elements) -> Complaints:
    """RPCs are PascalCase."""
    return _misspelled("RPC", module.methods, pascal_case, "PascalCase")


@MODULES.rule("FIELD_LOWER_SNAKE_CASE", *BASIC)
def field_lower_snake_case(module: Elements) -> Complaints:
    """Fields and extensions are lower_snake_case."""
    return _misspelled("Field", module.fields, lower_snake_case, "lower_snake_case")


@MODULES.rule("ONEOF_LOWER_SNAKE_CASE", *BASIC)
def oneof_lower_snake_case(module: Elements) -> Complaints:
    """Oneofs are lower_snake_case."""
    return _misspelled("Oneof", module.oneofs, lower_snake_case, "lower_snake_case")


@MODULES.rule("ENUM_VALUE_UPPER_SNAKE_CASE", *BASIC)
def enum_value_upper_snake_case(module: Elements) -> Complaints:
    """Enum values are UPPER_SNAKE_CASE."""
    return _misspelled("Enum value", module.enum_values, upper_snake_case, "UPPER_SNAKE_CASE")


@MODULES.rule("FILE_LOWER_SNAKE_CASE", *STANDARD)
def file_lower_snake_case(module: Elements) -> Complaints:
    """Files are lower_snake_case.proto."""
    for file in module.files:
        stem = PurePosixPath(file.name).stem
        wanted = lower_snake_case(stem)
        if stem != wanted:
            yield Complaint(
                file.at(),
                f"File '{stem}.proto' is not lower_snake_case; call it '{wanted}.proto'.",
            )


@MODULES.rule("SERVICE_SUFFIX", *STANDARD)
def service_suffix(module: Elements) -> Complaints:
    """Services end with one suffix."""
    suffix = module.settings.service_suffix
    for service in module.services:
        name = service.name
        if not name.endswith(suffix):
            yield Complaint(
                service.at(NAME),
                f"Service '{name}' does not end with '{suffix}'; write '{name}{suffix}'.",
            )
