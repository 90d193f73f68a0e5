"""How type stubs show an enum.

At run time an enum is an object with a constant per value, each an int. For checkers its values
have a type of their own, `Color.ValueType`, so that an int which is none of them is noticed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from google.protobuf.descriptor_pb2 import EnumDescriptorProto

from paycli.toolchain.stub_names import (
    ENUM_MEMBERS,
    MESSAGE_MEMBERS,
    MODULE_MEMBERS,
    Stub,
    docstring,
    writable,
)

_VALUES: Final = 2  # field number in descriptor.proto, of which the paths of comments are made


def write_enum(
    stub: Stub,
    comments: Mapping[tuple[int, ...], str],
    enum: EnumDescriptorProto,
    full_name: str,
    at: tuple[int, ...],
    scope: Collection[str],
    indent: str,
) -> None:
    """The enum and its constants, in the module or in a class that declares `scope`."""
    name = stub.symbol(full_name).path[-1]
    value_type, wrapper = stub.private(f"{enum.name}Value"), stub.private(f"{enum.name}Wrapper")
    wrappers = stub.module("google.protobuf.internal.enum_type_wrapper")
    stub.uses_private_names = True
    inner = indent + "    "
    stub.write(
        f'{value_type} = {stub.typing("NewType")}("{value_type}", {stub.builtin("int")})', indent
    )
    stub.write(f"@{stub.typing('type_check_only')}", indent)
    stub.write(f"class {wrapper}({wrappers}._EnumTypeWrapper[{value_type}]):", indent)
    names = [value.name for value in enum.value]
    constants = [constant for constant in names if writable(constant, ENUM_MEMBERS)]
    read = stub.enum_type(full_name, names)
    stub.write("\n".join(f"{constant}: {read}" for constant in constants) or "...", inner)
    if name != enum.name:
        stub.write(f"@{stub.typing('type_check_only')}", indent)
    stub.write(f"class {name}(metaclass={wrapper}):", indent)
    text = docstring(comments.get(at, ""))
    if text:
        stub.write(text, inner)
    outer = stub.message_type(full_name, {"ValueType"}).rpartition(".")[0]
    stub.write(
        f"ValueType: {stub.typing('TypeAlias')} = {f'{outer}.' if outer else ''}{value_type}", inner
    )
    read = stub.enum_type(full_name, scope)
    for index, constant in enumerate(names):
        if writable(constant, MESSAGE_MEMBERS if indent else MODULE_MEMBERS):
            stub.write(f"{constant}: {read}", indent)
            text = docstring(comments.get((*at, _VALUES, index), ""))
            if text:
                stub.write(text, indent)
    stub.write("", "")
