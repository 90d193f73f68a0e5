"""The line of source that a complaint is about, with a caret below the place."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_TAB: Final = 8  # protoc counts columns in bytes, and a tab to the next multiple of eight


def excerpt(path: Path, line: int, column: int) -> str:
    """Both lines, indented; empty when the file has no such line. Counts from 1."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return ""
    if not 0 < line <= len(lines):
        return ""
    source = lines[line - 1].expandtabs(_TAB)
    before = source[: column - 1].decode(errors="replace")
    return f"    {source.decode(errors='replace')}\n    {' ' * len(before)}^"
