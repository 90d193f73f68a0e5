"""How type stubs show an enum.

At run time an enum is an object with a constant per value, each an int. For checkers its values
have a type of their own, `Color.ValueType`, so that an int which is none of them is noticed.
"""

from __future__ import annotations

from collections.abc import Collection

from paycli.toolchain.protos.descriptors import Enum
from paycli.toolchain.stubs.names import (
    ENUM_MEMBERS,
    MESSAGE_MEMBERS,
    MODULE_MEMBERS,
    Stub,
    writable,
)


class EnumWriter:
    """Writes the enums of one stub."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub

    def write(self, enum: Enum, scope: Collection[str], indent: str) -> None:
        """An enum and its constants, in the module or in a class that declares `scope`."""
        stub = self._stub
        value_type = stub.private(f"{enum.name}Value")
        wrapper = stub.private(f"{enum.name}Wrapper")
        new_type = f'{stub.typing("NewType")}("{value_type}", {stub.builtin("int")})'
        stub.write(f"{value_type} = {new_type}", indent)
        self._wrapper(enum, wrapper, value_type, indent)
        full_name = f".{enum.full_name}"
        name = stub.symbol(full_name).path[-1]
        if name != enum.name:
            stub.write(f"@{stub.typing('type_check_only')}", indent)
        stub.write(f"class {name}(metaclass={wrapper}):", indent)
        stub.write_docstring(enum, indent + "    ")
        outer, dot, _ = stub.message_type(full_name, {"ValueType"}).rpartition(".")
        alias = f"ValueType: {stub.typing('TypeAlias')} = {outer}{dot}{value_type}"
        stub.write(alias, indent + "    ")
        value = stub.enum_type(full_name, scope)
        for constant in enum.values:
            if writable(constant.name, MESSAGE_MEMBERS if indent else MODULE_MEMBERS):
                stub.write(f"{constant.name}: {value}", indent)
                stub.write_docstring(constant, indent)
        stub.write("", "")

    def _wrapper(self, enum: Enum, name: str, value_type: str, indent: str) -> None:
        """The enum's own class, as types-protobuf has it: `Name()`, `Value()`, the constants."""
        stub = self._stub
        stub.uses_private_names = True
        wrappers = stub.module("google.protobuf.internal.enum_type_wrapper")
        stub.write(f"@{stub.typing('type_check_only')}", indent)
        stub.write(f"class {name}({wrappers}._EnumTypeWrapper[{value_type}]):", indent)
        names = [value.name for value in enum.values]
        value = stub.enum_type(f".{enum.full_name}", names)
        lines = [f"{constant}: {value}" for constant in names if writable(constant, ENUM_MEMBERS)]
        stub.write("\n".join(lines) or "...", indent + "    ")
