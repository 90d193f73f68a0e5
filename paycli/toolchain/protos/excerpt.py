"""A place in a file as people see it: the column, and the line with a caret below.

protoc counts columns in bytes, and a tab up to the next multiple of eight. Findings count as buf does:
in cells of a terminal (wide characters have two), and a tab up to the next multiple of four.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Final

_PROTOC_TAB: Final = 8
_TAB: Final = 4


def display_column(line: bytes, column: int) -> int:
    """The column, from 1, that protoc calls `column`."""
    if line.isascii() and b"\t" not in line:
        return column
    byte, cell = 0, 0
    for character in line.decode(errors="replace"):
        if byte >= column - 1:
            break
        if character == "\t":
            byte += _PROTOC_TAB - byte % _PROTOC_TAB
            cell += _TAB - cell % _TAB
        else:
            byte += len(character.encode())
            cell += _width(character)
    return cell + 1


def _width(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:  # drawn onto the one before
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def source_lines(path: Path) -> list[bytes]:
    """The lines of a file; none when it cannot be read."""
    try:
        return path.read_bytes().split(b"\n")
    except OSError:
        return []


def excerpt(path: Path, line: int, column: int) -> str:
    """The line and the caret, indented; empty when the file has no such line. Counts from 1."""
    lines = source_lines(path)
    if not 0 < line <= len(lines):
        return ""
    source = lines[line - 1].decode(errors="replace").expandtabs(_TAB).rstrip()
    return f"    {source}\n    {' ' * (column - 1)}^"
