"""A file that is whole on disk or not there at all, and that never takes another one's place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paycli.errors import StoreError


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Give a path to write to; what is there at the end of the block becomes `target`.

    Raises StoreError, also if `target` exists.
    """
    partial = target.with_name(f".{target.name}.partial")
    with writing(target):
        if not target.parent.is_dir():
            raise StoreError(
                f"Cannot write {target}: there is no folder {target.parent}. Make it, or name "
                "another file."
            )
        try:
            partial.unlink(missing_ok=True)
            yield partial
            _sync(partial)
            os.link(partial, target)  # unlike a rename, never over a file that came meanwhile
        except FileExistsError as problem:
            raise StoreError(f"{target} exists; nothing is overwritten.") from problem
        finally:
            partial.unlink(missing_ok=True)
        _sync(target.parent)


def refuse_existing(target: Path, sentence: str) -> None:
    """Raises StoreError with this sentence if there is such a file."""
    with writing(target):
        if target.exists():
            raise StoreError(sentence)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """What stands in the way of writing a file, as one sentence about that file."""
    try:
        yield
    except OSError as problem:
        raise StoreError(f"Cannot write {target}: {problem.strerror}.") from problem


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
