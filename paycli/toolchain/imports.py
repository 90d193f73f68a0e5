"""Imports that work inside a package.

protoc reads a proto path as an absolute module path, so its code only works at the top of sys.path.
An import becomes relative exactly when the imported file is generated beside it; `google.protobuf`
and whatever else is installed stay absolute. Descriptors are not touched: two copies of a file
under different names would clash in one process.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import Final

_FROM_PACKAGE: Final = re.compile(
    r"^from (?P<package>[\w.]+) import (?P<module>\w+_pb2)\b", re.MULTILINE
)
_TOP_LEVEL: Final = re.compile(r"^import (?P<module>\w+_pb2) as\b", re.MULTILINE)
_FROM_MODULE: Final = re.compile(r"^from (?P<module>[\w.]+_pb2) import\b", re.MULTILINE)


def module_of(proto_name: str) -> str:
    """The module that protoc makes of a file: `a/b-c.proto` → `a.b_c_pb2`."""
    return proto_name.removesuffix(".proto").replace("-", "_").replace("/", ".") + "_pb2"


def make_relative(code: str, module: str, generated: AbstractSet[str]) -> str:
    """`code` of `module` with its imports of `generated` modules made relative."""
    dots = "." * (module.count(".") + 1)

    def from_package(found: re.Match[str]) -> str:
        if f"{found['package']}.{found['module']}" not in generated:
            return found[0]
        return f"from {dots}{found['package']} import {found['module']}"

    def top_level(found: re.Match[str]) -> str:
        if found["module"] not in generated:
            return found[0]
        return f"from {dots} import {found['module']} as"

    def from_module(found: re.Match[str]) -> str:
        if found["module"] not in generated:
            return found[0]
        return f"from {dots}{found['module']} import"

    code = _FROM_PACKAGE.sub(from_package, code)
    code = _TOP_LEVEL.sub(top_level, code)
    return _FROM_MODULE.sub(from_module, code)
