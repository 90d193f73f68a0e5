"""How far somebody has come with the events of a store, kept in a file of their own."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from paycli.client.events import SEQUENCE_MAX, Mark
from paycli.errors import DocumentError, InputError

_FORM: Final = re.compile(r"([0-9]{20}) ([0-9a-f]{16})\n")
_BYTES_MAX: Final = 64


class Position:
    """The last event that was dealt with; None in a file that is new."""

    def __init__(self, file: int, mark: Mark | None) -> None:
        self._file = file
        self.mark = mark

    def advance(self, mark: Mark) -> None:
        """This event was dealt with; when it returns, a loss of power does not undo that."""
        # Always as long, in its place: a sector is written whole or not at all.
        os.pwrite(self._file, f"{mark.sequence:020d} {mark.seal}\n".encode(), 0)
        os.fdatasync(self._file)
        self.mark = mark


@contextmanager
def position_in(path: Path) -> Iterator[Position]:
    """The position that a file holds, for nobody else meanwhile. Raises InputError, DocumentError."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    except OSError as problem:
        raise InputError(f"{path} cannot keep the position: {problem.strerror}.") from problem
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise InputError(f"{path} cannot keep the position: it is no file.")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            raise InputError(
                f"{path} is in use: somebody else deals with these events. Take another file."
            ) from problem
        yield Position(file, _read(path, file))
    finally:
        os.close(file)


def _read(path: Path, file: int) -> Mark | None:
    text = os.pread(file, _BYTES_MAX, 0).decode("ascii", "replace")
    if not text:
        return None
    found = _FORM.fullmatch(text)
    if found is None or int(found[1]) > SEQUENCE_MAX:
        raise DocumentError(
            path, "this is no position that watch kept. Name another file, with --after SEQ.", 1
        )
    return Mark(int(found[1]), found[2])
