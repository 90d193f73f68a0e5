"""Compares what type stubs claim with what the modules have: `python claims.py PROJECT PACKAGE`.

Ends with each claim that does not hold on stderr. In a process of its own, for the descriptor pool is global.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc


def broken_claims(project: Path, package: str) -> Iterator[str]:
    """Names of stubs that are not there at run time."""
    stubs = sorted((project / package).rglob("*.pyi"))
    assert stubs
    for path in stubs:
        module = path.relative_to(project).with_suffix("").as_posix().replace("/", ".")
        yield from _check(ast.parse(path.read_text()).body, importlib.import_module(module), module)


def _check(body: Sequence[ast.stmt], thing: object, where: str) -> Iterator[str]:
    wrappers = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    for node in body:
        for name in _declared(node):
            if not _has(thing, name):
                yield f"{where}.{name}"
        if isinstance(node, ast.ClassDef) and not _for_checkers_only(node):
            inner = getattr(thing, node.name)
            if node.name.endswith("Stub"):
                inner = inner(grpc.insecure_channel("localhost:1"))
            yield from _check(node.body, inner, f"{where}.{node.name}")
            for word in node.keywords:
                assert isinstance(word.value, ast.Name)
                yield from _check(wrappers[word.value.id].body, inner, f"{where}.{node.name}")


def _declared(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.AnnAssign(target=ast.Name(name)) if not name.startswith("_"):
            yield name
        case ast.FunctionDef(name=name):
            yield name
        case ast.ClassDef(name=name) if not _for_checkers_only(node):
            yield name
        case ast.ImportFrom():
            for alias in node.names:
                if alias.asname == alias.name:
                    yield alias.name


def _for_checkers_only(node: ast.ClassDef) -> bool:
    return any(ast.unparse(each).endswith("type_check_only") for each in node.decorator_list)


def _has(thing: object, name: str) -> bool:
    fields = getattr(getattr(thing, "DESCRIPTOR", None), "fields_by_name", {})
    return name in fields or hasattr(thing, name)


if __name__ == "__main__":
    sys.exit("\n".join(broken_claims(Path(sys.argv[1]), sys.argv[2])) or None)
