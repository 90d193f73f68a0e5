"""A place in a source file, shown as people read it: path, line, column, the line and a caret."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_TAB: Final = 8


def show(path: Path, line: int, column: int, message: str) -> str:
    """`path:line:column: message`, and below it the line with a caret.

    `line` and `column` count from 1 as protoc counts: bytes, and a tab up to the next multiple of
    eight. Printed is the column that an editor shows.
    """
    lines = path.read_bytes().decode(errors="replace").split("\n")
    if not 0 < line <= len(lines):
        return f"{path}:{line}:{column}: {message}"
    source = lines[line - 1].rstrip("\r")
    before = source[: _characters(source, column - 1)]
    pad = " " * len(before.expandtabs(4))
    return f"{path}:{line}:{len(before) + 1}: {message}\n    {source.expandtabs(4)}\n    {pad}^"


def _characters(source: str, width: int) -> int:
    """How many characters make up `width` of protoc's columns."""
    passed = 0
    for index, character in enumerate(source):
        if passed >= width:
            return index
        passed += _TAB - passed % _TAB if character == "\t" else len(character.encode())
    return len(source)
