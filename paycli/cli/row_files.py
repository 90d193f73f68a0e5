"""Files of rows that a run leaves: those that were not taken, and those of which nothing is known."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

from paycli.errors import InputError

if TYPE_CHECKING:
    from paycli.client.charges import Charge

REASON: Final = "reason"  # a column of every file that is left
_SUFFIXES: Final = (".csv", ".ndjson", ".jsonl")
_HEAD_BYTES: Final = 65_536


class RowFile:
    """Rows in a file that begins with the first of them: CSV if it is called so, else JSON lines."""

    def __init__(self, path: Path, *, append: bool) -> None:
        """Without `append` it is empty from now on. Raises InputError for a file of somebody else's."""
        self.path = path
        self.count = 0
        self.problem = ""
        """Why it has not all rows; "" if it has."""
        self._open = ExitStack()
        self._file: IO[str] | None = None
        self._csv: Any = None
        self._refuse()
        if not append:
            try:
                path.write_bytes(b"")
            except OSError as problem:
                raise InputError(f"{path} cannot be written: {problem.strerror}.") from problem

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """What was written is there when it returns, or `problem` says why not."""
        try:
            self._open.close()
        except OSError as problem:
            self.problem = problem.strerror or "it failed"

    def write(self, row: Mapping[str, object]) -> None:
        """Add a row; the run goes on if that cannot be done, and tells of it at its end."""
        self.count += 1
        if self.problem:
            return
        try:
            self._write(row)
        except OSError as problem:
            self.problem = problem.strerror or "it failed"

    def _refuse(self) -> None:
        if self.path.suffix.lower() not in _SUFFIXES:
            raise InputError(f"{self.path}: call it .csv or .ndjson, which says how it is written.")
        if not self.path.parent.is_dir():
            raise InputError(
                f"{self.path} cannot be written: there is no folder {self.path.parent}."
            )
        if self.path.exists() and not self.path.is_file():
            raise InputError(f"{self.path} is no file; name one to write to.")
        if self.path.exists() and not self._is_ours():
            raise InputError(
                f"{self.path} is there, and no file that a run left; name another, or remove it."
            )

    def _is_ours(self) -> bool:
        with self.path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        return not head or REASON.encode() in head

    def _write(self, row: Mapping[str, object]) -> None:
        if self._file is None:
            self._file = self._open.enter_context(
                self.path.open("a", encoding="utf-8", errors="surrogateescape", newline="")
            )
        if self.path.suffix.lower() != ".csv":
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
            return
        if self._csv is None:
            self._csv = csv.DictWriter(self._file, list(row), extrasaction="ignore")
            if not self._file.tell():
                self._csv.writeheader()
        self._csv.writerow(row)


def unknown_row(charge: Charge, why: str) -> dict[str, object]:
    """The row of a charge of which nothing is known; it can be paid from, and settled."""
    return {**charge.as_dict(), "idempotency_key": charge.idempotency_key, REASON: why}
