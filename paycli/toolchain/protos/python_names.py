"""What protoc's generators call a proto and its parts in Python."""

from __future__ import annotations

from keyword import iskeyword


def module_of(proto_name: str) -> str:
    """The module that protoc makes of a file: `a/b-c.proto` → `a.b_c_pb2`."""
    return proto_name.removesuffix(".proto").replace("-", "_").replace("/", ".") + "_pb2"


def alias_of(module: str) -> str:
    """The name that protoc gives an imported module."""
    return module.replace("_", "__").replace(".", "_dot_")


def python_name(name: str) -> str:
    """The name of a method or a service in Python: PEP 8 gives a keyword an underscore."""
    return f"{name}_" if iskeyword(name) else name
