"""Copies of a SQLite store: taken while it is in use, and put back where nothing is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apsw

from paycli.errors import CheckFailed, StoreError
from paycli.storage.records import Progress
from paycli.storage.sqlite.anchor import keep_anchor
from paycli.storage.sqlite.file import (
    SCHEMA_VERSION,
    explained,
    open_existing,
    schema_version,
    writing_to,
)
from paycli.storage.sqlite.verify import check_structure, verify
from paycli.storage.whole_file import refuse_existing, whole_file, writing

_PAGES_AT_ONCE: Final = 2048


def backup(source: Path, copy: Path, progress: Progress) -> int:
    """Copy the store as it is at this moment, a running server or not; returns the bytes.

    The copy is whole on disk or not there at all, and holds the anchor of its journal. Raises
    StoreError, and CheckFailed when the journal is not as paycli wrote it.
    """
    refuse_existing(copy, f"{copy} exists; nothing is overwritten. Name another file.")
    with explained(source), contextlib.closing(open_existing(source)) as opened:
        _copy(opened, copy, progress)
    return copy.stat().st_size


def restore(copy: Path, target: Path, progress: Progress) -> int:
    """Make a store of a backup that is right; returns the bytes.

    Raises StoreError, also if `target` exists, and CheckFailed when the backup is damaged.
    """
    for each in (target, Path(f"{target}-wal")):
        refuse_existing(
            each,
            f"{each} exists; restore overwrites nothing. Move it away, or name another with "
            "--store.",
        )
    _check_backup(copy, progress)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with explained(copy), contextlib.closing(open_existing(copy)) as opened:
        _copy(opened, target, progress)
    return target.stat().st_size


def _check_backup(copy: Path, progress: Progress) -> None:
    with explained(copy):
        if not copy.is_file():
            raise StoreError(f"There is no backup {copy}. Name the file that 'db backup' wrote.")
    try:
        with contextlib.closing(open_existing(copy)) as opened:
            is_current = schema_version(opened) == SCHEMA_VERSION
            if not is_current:  # its payments are checked once it is migrated
                check_structure(opened)
        if is_current:
            verify(copy, progress)
    except CheckFailed as wrong:
        said = wrong.message.removesuffix(" Restore a backup.")
        raise CheckFailed(
            f"The backup {copy} is not right, nothing was restored. {said} Restore another backup."
        ) from wrong


def _copy(opened: apsw.Connection, target: Path, progress: Progress) -> None:
    with writing_to(target), whole_file(target) as partial:
        _copy_pages(opened, partial, progress)


def _copy_pages(opened: apsw.Connection, partial: Path, progress: Progress) -> None:
    with contextlib.closing(apsw.Connection(str(partial))) as target:
        target.pragma("synchronous", "full")
        with _one_moment(opened), target.backup("main", opened, "main") as copying:
            while not copying.done:
                copying.step(_PAGES_AT_ONCE)
                progress(copying.page_count - copying.remaining, copying.page_count)
        target.pragma("journal_mode", "delete")  # one file, without a -wal beside it
        if schema_version(target) == SCHEMA_VERSION:
            keep_anchor(target)


@contextlib.contextmanager
def _one_moment(connection: apsw.Connection) -> Iterator[None]:
    """A read transaction, so that writers go on meanwhile and the copy does not start again."""
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
