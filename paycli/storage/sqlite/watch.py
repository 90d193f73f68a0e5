"""Whether the files behind an open SQLite store are still those that their names lead to.

SQLite goes on writing to files that were removed, moved or replaced: what it says is durable then is
found by nobody. Another server on the same path would not even see the lock.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from paycli.storage.sqlite.lock import lock_path

_BESIDE: Final = ("-wal", "-shm")


class FileWatch:
    """The database, its WAL and its lock, as they were when the store was opened."""

    def __init__(self, path: Path, lock: int) -> None:
        """Raises OSError."""
        opened = path.absolute()
        beside = [Path(f"{path.resolve()}{suffix}") for suffix in _BESIDE]
        self._lock = lock
        self._lock_path = lock_path(path)
        self._known = [(name, _identity(name.stat())) for name in (opened, *beside)]

    def problem(self) -> str | None:
        """What is no longer as it was, in one sentence."""
        try:
            for name, known in self._known:
                if _identity(name.stat()) != known:
                    return f"{name} was replaced, or got a second name, under the server."
            if _identity(self._lock_path.stat()) != _identity(os.fstat(self._lock)):
                return f"{self._lock_path} was replaced under the server."
        except OSError as problem:
            return f"{problem.filename} is gone from under the server ({problem.strerror})."
        return None


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_dev, found.st_ino, found.st_nlink
