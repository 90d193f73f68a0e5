"""Copies of a SQLite store: taken while it is in use, and put back where nothing is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apsw

from paycli.errors import StoreError
from paycli.storage.sqlite_file import Progress, explained, open_existing

_PAGES_AT_ONCE: Final = 2048


def backup(source: Path, copy: Path, progress: Progress) -> int:
    """Copy the store as it is at this moment, a running server or not; returns the bytes.

    The copy is whole on disk or not there at all. Raises StoreError.
    """
    _copy(source, copy, progress)
    return copy.stat().st_size


def restore(copy: Path, target: Path, progress: Progress) -> int:
    """Make a store of a backup; returns the bytes. Raises StoreError, also if `target` exists."""
    with explained(target):
        for each in (target, Path(f"{target}-wal")):
            if each.exists():
                raise StoreError(
                    f"{each} exists; restore overwrites nothing. Move it away, or name another "
                    "with --store."
                )
        target.parent.mkdir(parents=True, exist_ok=True)
    _copy(copy, target, progress)
    return target.stat().st_size


def _copy(source: Path, target: Path, progress: Progress) -> None:
    with explained(target):
        if target.exists():
            raise StoreError(f"{target} exists; nothing is overwritten. Name another file.")
    partial = target.with_name(f".{target.name}.partial")
    with explained(target), contextlib.closing(open_existing(source)) as opened:
        try:
            partial.unlink(missing_ok=True)
            _copy_pages(opened, partial, progress)
            os.link(partial, target)  # unlike a rename, never over a file that came meanwhile
        except FileExistsError as problem:
            raise StoreError(f"{target} exists; nothing is overwritten.") from problem
        except OSError as problem:
            raise StoreError(f"Cannot write {target}: {problem.strerror}.") from problem
        finally:
            partial.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _copy_pages(opened: apsw.Connection, partial: Path, progress: Progress) -> None:
    with contextlib.closing(apsw.Connection(str(partial))) as target:
        target.pragma("synchronous", "full")
        with _one_moment(opened), target.backup("main", opened, "main") as copying:
            while not copying.done:
                copying.step(_PAGES_AT_ONCE)
                progress(copying.page_count - copying.remaining, copying.page_count)
        target.pragma("journal_mode", "delete")  # one file, without a -wal beside it
    with partial.open("rb") as written:
        os.fsync(written.fileno())


@contextlib.contextmanager
def _one_moment(connection: apsw.Connection) -> Iterator[None]:
    """A read transaction, so that writers go on meanwhile and the copy does not start again."""
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
