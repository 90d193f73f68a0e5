"""Files that somebody reads after a run: each is whole, whatever happens while it is written."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from paycli.errors import InputError


def is_replaceable(path: Path) -> bool:
    """Whether a report can take the place of an earlier one: not so in a pipe or a device."""
    return path.is_file() or not path.exists()


def write_report(path: Path, what: str, content: bytes) -> None:
    """Replace the file, and make its folder; `what` names it in errors: "JUnit". Raises InputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as problem:
        raise InputError(f"Cannot write the {what} file {path}: {problem.strerror}.") from problem


def _replace(path: Path, content: bytes) -> None:
    """All of the new report or all of what was there before, where the file system can do that."""
    if not is_replaceable(path):
        path.write_bytes(content)
        return
    path = path.resolve()  # a link goes on pointing to the report
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError:  # only the file itself may be written, in a mount or a locked folder
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        path.write_bytes(content)
