"""A disk that fails when it is told to: a SQLite VFS between the store and the real files."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum

import apsw

NAME = "faulty"
REAL = apsw.vfs_names()[0]


class Kind(StrEnum):
    """How the disk fails."""

    WRITE = "write"  # nothing of it arrives
    FULL = "full"  # no space is left
    TORN = "torn"  # half of it arrives
    SYNC = "sync"  # it arrived in memory, and may or may not reach the disk


@dataclass
class Plan:
    """Fail once `after` more writes to the WAL (or syncs) went well; `broken` from then on."""

    kind: Kind = Kind.WRITE
    after: int = sys.maxsize
    broken: bool = False

    def strikes(self, *kinds: Kind) -> bool:
        """Whether this operation fails."""
        if self.kind not in kinds:
            return False
        self.after -= 1
        self.broken = self.broken or self.after < 0
        return self.broken


plan = Plan()
disks: list[apsw.VFS] = []  # SQLite knows a disk only while its object lives


class _File(apsw.VFSFile):
    def __init__(self, filename: apsw.URIFilename | str | None, flags: list[int]) -> None:
        self._is_wal = bool(flags[0] & apsw.SQLITE_OPEN_WAL)
        super().__init__(REAL, filename, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        if self._is_wal and plan.strikes(Kind.WRITE, Kind.FULL, Kind.TORN):
            if plan.kind is Kind.TORN:
                super().xWrite(data[: len(data) // 2], offset)
            raise apsw.FullError("disk full") if plan.kind is Kind.FULL else apsw.IOError("failed")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        if self._is_wal and plan.strikes(Kind.SYNC):
            raise apsw.IOError("fsync failed")
        super().xSync(flags)


class FaultyDisk(apsw.VFS):
    """The default disk of the process while this object lives."""

    def __init__(self) -> None:
        super().__init__(NAME, REAL, makedefault=True)

    def xOpen(  # noqa: N802 - SQLite's name
        self, name: apsw.URIFilename | str | None, flags: list[int]
    ) -> _File:
        return _File(name, flags)


def break_disk(kind: Kind, after: int) -> str:
    """Python code for the fixture `in_writer`: the disk of that process fails so."""
    return f"from tests.storage import faults; faults.begin(faults.Kind({kind.value!r}), {after})"


def begin(kind: Kind, after: int) -> None:
    """Every file that this process opens from now on lies on such a disk."""
    plan.kind, plan.after = kind, after
    disks.append(FaultyDisk())
