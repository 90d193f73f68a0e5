"""Mistakes of fixtures, each with its line of the file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from paycli.cli import output
from paycli.errors import DocumentError, PaycliError
from paycli.excerpts import Lines

_SHOWN_MAX: Final = 100


class Mistakes:
    """Tells them on stderr, those of an entry at a time."""

    def __init__(self) -> None:
        self._before: set[str] = set()
        self._shown = 0
        self._files: dict[Path, Lines] = {}

    def tell(self, problems: Iterable[PaycliError]) -> None:
        """Tell what is new: a mistake in the defaults is one, however many payments have it."""
        before, self._before = self._before, set()
        for problem in problems:
            said = str(problem)
            self._before.add(said)
            if said in before:
                continue
            self._shown += isinstance(problem, DocumentError)
            if not isinstance(problem, DocumentError):
                output.error(problem, as_json=False)
            elif self._shown <= _SHOWN_MAX:
                output.error(problem, as_json=False)
                self._show(problem)

    def _show(self, problem: DocumentError) -> None:
        path = Path(problem.path)
        excerpt = self._files.setdefault(path, Lines(path)).excerpt(problem)
        if excerpt:
            output.progress(excerpt)

    def close(self) -> None:
        """Say how many were not shown."""
        for each in self._files.values():
            each.close()
        if self._shown > _SHOWN_MAX:
            output.progress(f"{self._shown - _SHOWN_MAX:,} more mistakes are not shown.")
