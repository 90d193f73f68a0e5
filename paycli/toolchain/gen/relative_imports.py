"""Imports that work inside a package.

protoc reads a proto path as an absolute module path, so its code only works at the top of sys.path,
and not even there when a part of the path is no Python identifier. An import becomes relative
exactly when the imported file is generated beside it; `google.protobuf` and whatever else is
installed stay absolute. Descriptors are not touched: two copies of a file under different names
would clash in one process.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from keyword import iskeyword
from typing import Final

from paycli.toolchain.protos.python_names import alias_of, python_name

_IMPORTS_END: Final = ("\nDESCRIPTOR = ", "\nGRPC_GENERATED_VERSION = ")
_FALLBACK: Final = "except AttributeError:"  # of an import that another file passes on

_NAMED: Final = re.compile(
    r"(?P<before>^        self\.|^    def |^class |\bservicer\.)(?P<name>[A-Za-z]+)\b", re.MULTILINE
)
_MESSAGE: Final = re.compile(
    r"\b(?P<module>\w+__pb2)(?P<path>(?:\.\w+)+)\.(?P<use>FromString|SerializeToString)\b"
)


class RelativeImports:
    """Makes imports of the generated modules relative, for modules `depth` folders deep."""

    def __init__(self, generated: Collection[str], depth: int) -> None:
        self._dots = "." * (depth + 1)
        self._by_alias = {alias_of(module): module for module in generated}
        self._lines: dict[str, str] = {}
        for alias, module in self._by_alias.items():
            self._lines |= self._replacements(alias, module)
        self._unsafe = [alias for alias in self._by_alias if not alias.isidentifier()]

    def mend(self, code: str) -> str:
        """Code of a `_pb2.py` or `_pb2_grpc.py` with its imports mended."""
        end = next((at for mark in _IMPORTS_END if (at := code.find(mark)) >= 0), len(code))
        mended: list[str] = []
        before = ""
        for line in code[:end].split("\n"):
            fallback = before == _FALLBACK and self._by_alias.get(line.partition(" = ")[0].strip())
            if fallback:
                mended.append("  " + self._import(alias_of(fallback), fallback, "; "))
            else:
                mended.append(self._lines.get(line, line))
            before = line
        code = "\n".join(mended) + code[end:]
        for alias in self._unsafe:
            code = code.replace(alias, re.sub(r"\W", "_", alias))
        return code

    def _replacements(self, alias: str, module: str) -> dict[str, str]:
        """Every line with which protoc imports a module, and ours in its place."""
        package, _, name = module.rpartition(".")
        ours = self._import(alias, module, "\n")
        star = f"from {self._dots}{module} import *"
        if not _is_importable(module):
            star = f"globals().update({{k: v for k, v in vars({alias}).items() if k[0] != '_'}})"
        return {
            f"from {package} import {name} as {alias}": ours,
            f"import {module} as {alias}": ours,
            f"{alias} = importlib.import_module('{module}')": ours,
            f"from {module} import *": star,
        }

    def _import(self, alias: str, module: str, separator: str) -> str:
        package, _, name = module.rpartition(".")
        if _is_importable(module):
            return f"from {self._dots}{package} import {name} as {alias}"
        target = f"{self._dots}{module}"
        return (
            f"import importlib{separator}{alias} = importlib.import_module({target!r}, __package__)"
        )


def mend_keywords(code: str) -> str:
    """gRPC code whose services, methods or messages are named like Python keywords.

    On the wire methods and services keep their names.
    """

    def underscore(found: re.Match[str]) -> str:
        return found["before"] + python_name(found["name"])

    def by_getattr(found: re.Match[str]) -> str:
        path = found["path"].split(".")[1:]
        if not any(map(iskeyword, path)):
            return found[0]
        reached = found["module"]
        for part in path:
            reached = f"getattr({reached}, {part!r})" if iskeyword(part) else f"{reached}.{part}"
        return f"{reached}.{found['use']}"

    code = _NAMED.sub(underscore, code)
    return _MESSAGE.sub(by_getattr, code)


def _is_importable(module: str) -> bool:
    return all(part.isidentifier() and not iskeyword(part) for part in module.split("."))
