"""Files of rows that a run leaves: those that were not taken, and those of which nothing is known."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Self

from paycli.errors import CheckFailed


class RowFile:
    """Rows in a file that begins with the first of them: CSV if it is called so, else JSON lines."""

    def __init__(self, path: Path, *, append: bool) -> None:
        self.path = path
        self.count = 0
        self._mode = "a" if append else "w"
        self._open = ExitStack()
        self._file: IO[str] | None = None
        self._csv: Any = None
        self._problem = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Raises CheckFailed if not all rows could be written."""
        try:
            self._open.close()
        except OSError as problem:
            self._problem = problem.strerror or "it failed"
        if self._problem:
            raise CheckFailed(f"{self.path} is not whole: {self._problem}.")

    def write(self, row: Mapping[str, object]) -> None:
        """Add a row; the run goes on if that cannot be done, which is told at its end."""
        self.count += 1
        if self._problem:
            return
        try:
            self._write(row)
        except OSError as problem:
            self._problem = problem.strerror or "it failed"

    def _write(self, row: Mapping[str, object]) -> None:
        if self._file is None:
            self._file = self._open.enter_context(
                self.path.open(self._mode, encoding="utf-8", errors="surrogateescape", newline="")
            )
        if self.path.suffix.lower() != ".csv":
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
            return
        if self._csv is None:
            self._csv = csv.DictWriter(self._file, list(row), extrasaction="ignore")
            self._csv.writeheader()
        self._csv.writerow(row)
