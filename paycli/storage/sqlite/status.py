"""What is in a SQLite store, at a glance."""

from __future__ import annotations

import contextlib
import os
import shlex
from pathlib import Path

from paycli.errors import InputError, StoreError
from paycli.storage.records import Condition, Repair, Status
from paycli.storage.sqlite.file import (
    SCHEMA_VERSION,
    explained,
    open_existing,
    schema_version,
)
from paycli.storage.sqlite.lock import is_held


def inspect(path: Path, url: str) -> Condition:
    """Look at the file alone, however much is in it; `url` is what it was called."""
    try:
        served, old = is_held(path), _is_old(path)
    except StoreError as problem:
        return Condition(False, str(problem), "paycli serve --store sqlite:///new.db")
    except PermissionError as problem:
        return _not_writable(Path(problem.filename).parent)
    if served:
        return Condition(True, f"A server is using {path}.")
    folder = _nearest_folder(path)
    for needed in (folder, path) if path.exists() else (folder,):
        if not os.access(needed, os.W_OK):
            return _not_writable(needed)
    if old:
        return Condition(
            False,
            f"{path} was written by an older paycli; back it up and bring it up to date.",
            shlex.join(["paycli", "db", "migrate", "--store", url]),
        )
    if path.exists():
        return Condition(True, f"{path} can be opened.")
    missing = folder != path.absolute().parent
    repair = Repair(f"Making {path.parent}.", lambda: _make(path.parent)) if missing else None
    return Condition(True, f"There is no {path} yet; 'paycli serve' makes it.", repair=repair)


def _is_old(path: Path) -> bool:
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        return False  # an empty file becomes a store
    with explained(path), contextlib.closing(open_existing(path)) as connection:
        return schema_version(connection) < SCHEMA_VERSION


def _not_writable(path: Path) -> Condition:
    own = path.stat().st_uid == os.geteuid()
    change = "chmod u+rwX" if own else 'sudo chown "$USER"'
    sentence = f"The store needs {path}, which you may not write to."
    return Condition(False, sentence, f"{change} {shlex.quote(str(path))}")


def _nearest_folder(path: Path) -> Path:
    """The folder that exists and would hold the file, or the folders on the way to it."""
    return next(parent for parent in path.absolute().parents if parent.is_dir())


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise InputError(f"Cannot make {folder}: {problem.strerror}.") from problem


def status(path: Path) -> Status:
    """Look at a store, served or not. Raises StoreError."""
    with explained(path), contextlib.closing(open_existing(path)) as connection, connection:
        version = schema_version(connection)
        counts = (
            "SELECT (SELECT count(*) FROM payment), (SELECT coalesce(max(seq), 0) FROM entry), "
            "(SELECT count(*) FROM payment WHERE state IN ('AUTHORIZED', 'PARTIALLY_CAPTURED') "
            "AND state <> 'CAPTURED'), (SELECT count(*) FROM intent)"
        )
        payments, last_seq, authorizations, intents = connection.execute(counts).get
    files = (path, Path(f"{path}-wal"))
    return Status(
        str(path),
        version,
        version < SCHEMA_VERSION,
        is_held(path),
        payments,
        last_seq,
        authorizations,
        intents,
        sum(each.stat().st_size for each in files if each.exists()),
    )
