"""What a command reads whole: a file, or stdin."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from paycli.errors import DocumentError

STDIN: Final = "-"
_BYTES_MAX: Final = 256 * 1024 * 1024  # the largest answer that a call takes, with room as JSON


def name_of(file: str | Path) -> str:
    """What errors call it."""
    return "stdin" if str(file) == STDIN else str(file)


def read_input(file: str | Path) -> bytes:
    """All of a file, or of stdin for `-`. Raises DocumentError."""
    name = name_of(file)
    try:
        is_stdin = str(file) == STDIN
        with nullcontext(sys.stdin.buffer) if is_stdin else Path(file).open("rb") as opened:
            # Whatever it says of its size: /dev/zero says none.
            content = opened.read(_BYTES_MAX + 1)
    except OSError as problem:
        raise DocumentError(name, f"cannot be read: {problem.strerror}.") from problem
    if len(content) > _BYTES_MAX:
        limit = _BYTES_MAX // 1024 // 1024
        raise DocumentError(name, f"more than the {limit} MiB that are read here.")
    return content
