"""The line of a file that a mistake stands on, with a mark below it, as compilers show it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final

from paycli.errors import DocumentError

_SHOWN_MAX: Final = 68  # of a line that is longer, what is around the mark
_LINE_MAX: Final = 1_000_000


class Lines:
    """Looks up lines of a file. Mistakes come in its order, so it is read once for all of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._at = 0
        self._last = ""

    def excerpt(self, problem: DocumentError) -> str:
        """The line of the problem and its mark; "" where there is nothing to show."""
        if problem.line is None or not self._path.is_file() or problem.path != self._path:
            return ""
        try:
            text = self._line(problem.line)
        except (OSError, UnicodeDecodeError):
            return ""
        return _marked(text, problem.line, problem.column) if text.strip() else ""

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _line(self, number: int) -> str:
        if self._file is None or number < self._at:
            self.close()
            self._file, self._at = self._path.open("rb"), 0
        while self._at < number:
            line = self._file.readline(_LINE_MAX)
            if not line:
                return ""
            is_whole = line.endswith(b"\n") or len(line) < _LINE_MAX
            self._at += is_whole
            self._last = line.decode("utf-8") if is_whole and self._at == number else ""
        return self._last


def _marked(text: str, line: int, column: int | None) -> str:
    text = text.rstrip().replace("\t", " ")
    at = (column or 1) - 1
    begin = max(0, at - _SHOWN_MAX // 2) if len(text) > _SHOWN_MAX else 0
    shown = text[begin : begin + _SHOWN_MAX]
    before, after = "…" if begin else "", "…" if len(text) > begin + _SHOWN_MAX else ""
    margin = f"{line:5} | "
    mark = f"\n{'':5} | {'':{len(before) + at - begin}}^" if column is not None else ""
    return f"{margin}{before}{shown}{after}{mark}"
