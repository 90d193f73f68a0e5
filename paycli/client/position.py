"""How far somebody has come with the events of a store, kept in a file of their own."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from paycli.errors import DocumentError, InputError

_FORM: Final = re.compile(rb"[0-9]{20}\n")


class Position:
    """The number of the last event that was dealt with; None in a file that is new."""

    def __init__(self, file: int, after: int | None) -> None:
        self._file = file
        self.after = after

    def advance(self, sequence: int) -> None:
        """This event was dealt with; when it returns, a loss of power does not undo that."""
        # Always as long, in its place: a sector is written whole or not at all.
        os.pwrite(self._file, b"%020d\n" % sequence, 0)
        os.fdatasync(self._file)
        self.after = sequence


@contextmanager
def position_in(path: Path) -> Iterator[Position]:
    """The position that a file holds, for nobody else meanwhile. Raises InputError, DocumentError."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as problem:
        raise InputError(f"{path} cannot keep the position: {problem.strerror}.") from problem
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            raise InputError(
                f"{path} is in use: somebody else deals with these events. Take another file."
            ) from problem
        yield Position(file, _read(path, file))
    finally:
        os.close(file)


def _read(path: Path, file: int) -> int | None:
    text = os.pread(file, 64, 0)
    if not text:
        return None
    if not _FORM.fullmatch(text):
        raise DocumentError(
            path, "this is no position. Name another file, or write the number as 20 digits.", 1
        )
    return int(text)
