"""The lock of a SQLite store: held by one server and its writer, and it says who they are.

It lies in a file of its own beside the real file: closing any other descriptor of the database would
drop SQLite's own locks, and two links to one store are one store. The system lets go of it when the
last of its holders ends, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from paycli.errors import StoreInUse

_LAST_BATCH_S: Final = 1.0  # the writer of a server that was killed may be at its last batch


def lock_path(path: Path) -> Path:
    """Where the lock of a store lies."""
    return Path(f"{path.resolve()}.lock")


def take_lock(path: Path) -> int:
    """Hold the store for this process; returns a descriptor. Raises StoreInUse, OSError."""
    lock = os.open(lock_path(path), os.O_RDWR | os.O_CREAT, 0o644)
    patience = time.monotonic() + _LAST_BATCH_S
    while not _locked(lock, fcntl.LOCK_EX):
        if time.monotonic() > patience:
            holders = _holders(lock)
            os.close(lock)
            raise StoreInUse(_taken(path, holders))
        time.sleep(0.01)
    write_holders(lock, os.getpid())
    return lock


def write_holders(lock: int, *pids: int) -> None:
    """Note the server and its writer, for whoever finds the store locked."""
    with suppress(OSError):  # a full disk: then nobody is named
        os.ftruncate(lock, 0)
        os.pwrite(lock, "".join(f"{pid}\n" for pid in pids).encode(), 0)


@contextmanager
def held_still(path: Path) -> Iterator[None]:
    """Let no server have the store until the block ends, nor change it. Raises StoreInUse, OSError."""
    lock = os.open(lock_path(path), os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        if not _locked(lock, fcntl.LOCK_SH):
            raise StoreInUse(_taken(path, _holders(lock)))
        yield
    finally:
        os.close(lock)


def is_held(path: Path) -> bool:
    """Whether a server is using the store."""
    try:
        lock = os.open(lock_path(path), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _locked(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)


def _locked(lock: int, how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holders(lock: int) -> list[int]:
    return [int(pid) for pid in os.pread(lock, 100, 0).split() if pid.isdigit()]


def _taken(path: Path, holders: list[int]) -> str:
    alive = [pid for pid in holders if _is_alive(pid)]
    if holders and holders[0] not in alive and alive:
        return (
            f"The store {path} is held by process {alive[0]}, the writer of a server that is gone; "
            f"it hangs. End it with 'kill -9 {alive[0]}' and start again."
        )
    who = f" (process {holders[0]})" if alive else ""
    return (
        f"Another paycli server{who} is using the store {path}. Stop it, or name another with "
        "--store sqlite:///FILE."
    )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
