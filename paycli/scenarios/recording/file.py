"""The file that a suite is written to: whole or not at all, and over nothing that was not to go."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from paycli.errors import CheckFailed, InputError


class Unwritten(CheckFailed):
    """It could not be written."""


def refuse_taken(path: Path, *, force: bool) -> None:
    """Before there is anything to lose. Raises InputError."""
    try:
        if path.exists() and not path.is_file():  # a device would be gone
            raise InputError(f"{path} is no file; name one.")
        if not path.parent.is_dir():
            raise InputError(f"There is no folder {path.parent}. Make it, or name another file.")
        if not force and os.path.lexists(path):
            raise InputError(
                f"{path} exists; --force replaces it, or name another file with --out."
            )
        _partial(path).touch()
        _partial(path).unlink()
    except OSError as problem:
        raise InputError(
            f"Cannot write {path}: {problem.strerror}. Name another file."
        ) from problem


def write(path: Path, text: str, *, force: bool) -> None:
    """Raises CheckFailed, and says where the text is; Unwritten if it is nowhere."""
    partial = _partial(path)
    try:
        partial.write_text(text, encoding="utf-8")
        if force:
            partial.replace(path)
            return
        os.link(partial, path)  # unlike a rename, never over a file that came meanwhile
    except FileExistsError as problem:
        kept = partial.rename(path.with_name(f"{path.name}.{os.getpid()}"))
        raise CheckFailed(
            f"{path} exists by now and is left as it is; the suite is in {kept}."
        ) from problem
    except OSError as problem:
        raise Unwritten(f"Cannot write {path}: {problem.strerror}.") from problem
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.partial")
