"""Files of rows, CSV or one JSON object a line, as spreadsheets and programs write them.

They are read as they come, however large they are. A row that is wrong comes as its error, beside its
neighbours; every value is the text that stands there, so that no digit of a number is lost.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import select
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, Self

from paycli.errors import DocumentError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STDIN: Final = Path("-")
_GZIP: Final = b"\x1f\x8b"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_BOM: Final = "\ufeff"
_DELIMITERS: Final = ",;\t|"
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_LINE_MAX: Final = 1_000_000  # characters; what is longer is no row, and is not kept in memory
_SHOWN: Final = 40
_BUFFER: Final = 65_536
_IDLE_MS: Final = 200  # a pipe that brings nothing for so long may bring nothing for an hour


class Row(NamedTuple):
    """The texts of a row by their names, and the line that it begins on."""

    line: int
    fields: dict[str, str]


class Rows:
    """The rows of an open file; go through them once."""

    def __init__(self, path: Path, names: Mapping[str, str]) -> None:
        """`names` are fields by what the file calls them; what is not among them keeps its name.

        Raises DocumentError for a file that cannot be read or whose header is wrong.
        """
        self.path = path
        self.columns: list[str] | None = None
        """What the header of a CSV file names; None for JSON."""
        self._names = names
        with ExitStack() as stack:
            # The text closes the file with itself, so it is kept.
            self._source, self._text = _opened(path, stack)
            self._lines = _lines(path, self._text)
            first = next(self._lines, "")
            self._rows = self._json(first) if first.lstrip()[:1] == "{" else self._csv(first)
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __iter__(self) -> Iterator[Row | DocumentError]:
        return self._rows

    def when_idle(self, act: Callable[[], None]) -> None:
        """Do this, again and again, while a pipe brings nothing; what it raises ends the reading."""
        self._source.idle = act

    @property
    def bytes_read(self) -> int:
        """How far the file has been read, compressed as it is; 0 where that is not known."""
        try:
            return self._source.tell()
        except OSError:  # a pipe
            return 0

    def _csv(self, header: str) -> Iterator[Row | DocumentError]:
        if not header.strip():
            raise DocumentError(
                self.path, "the file is empty; its first line names the columns.", 1
            )
        delimiter = max(_DELIMITERS, key=header.count)
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter))]
        self._refuse_header(names)
        self.columns = [self._names.get(name, name) for name in names]
        return self._csv_rows(self.columns, delimiter)

    def _refuse_header(self, names: list[str]) -> None:
        while names and not names[-1]:  # what a spreadsheet makes of an empty column
            names.pop()
        for name in names:
            if names.count(name) > 1:
                raise DocumentError(self.path, f"two columns are called '{name}'.", 1)
        self._refuse_map(names)
        renamed = [self._names.get(name, name) for name in names]
        for name in renamed:
            if renamed.count(name) > 1:
                raise DocumentError(self.path, f"two columns are the {name}; map one of them.", 1)

    def _refuse_map(self, names: list[str]) -> None:
        for theirs in self._names:
            if theirs not in names:
                listed = ", ".join(names)
                raise DocumentError(
                    self.path, f"there is no column '{theirs}' to map; there are {listed}.", 1
                )

    def _csv_rows(self, names: list[str], delimiter: str) -> Iterator[Row | DocumentError]:
        reader = csv.reader(self._lines, delimiter=delimiter, strict=True)
        width = len(names)
        while True:
            line = reader.line_num + 2
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as problem:
                yield DocumentError(self.path, f"no row: {problem}.", line)
                continue
            if len(values) > width and not any(values[width:]):
                values = values[:width]
            if not any(values):
                continue
            if len(values) != width:
                yield DocumentError(
                    self.path, f"{len(values)} values stand here, and {width} in the header.", line
                )
                continue
            yield self._row(line, dict(zip(names, values, strict=True)), "".join(values))

    def _json(self, first: str) -> Iterator[Row | DocumentError]:
        line = 0
        lines: Iterator[str] = self._lines
        text: str | None = first
        while text is not None:
            line += 1
            if text.strip():
                try:
                    fields = self._object(text)
                except ValueError as problem:
                    said = (
                        f"no JSON: {problem.msg}"
                        if isinstance(problem, json.JSONDecodeError)
                        else problem
                    )
                    yield DocumentError(self.path, f"{said}.", line)
                except RecursionError:
                    yield DocumentError(self.path, "it is nested too deeply.", line)
                else:
                    yield self._row(line, fields, "".join(fields.values()))
            text = next(lines, None)

    def _object(self, text: str) -> dict[str, str]:
        found = _DECODER.decode(text)
        if not isinstance(found, dict):
            raise ValueError(f"'{text.strip()[:_SHOWN]}' is no JSON object")  # noqa: TRY004 - as below
        fields = {self._names.get(name, name): _text(name, value) for name, value in found.items()}
        if len(fields) < len(found):
            raise ValueError("two of its keys are one field; map one of them")
        return fields

    def _row(self, line: int, fields: dict[str, str], texts: str) -> Row | DocumentError:
        if not texts.isascii() and _SURROGATES.search(texts):
            return DocumentError(self.path, "not UTF-8 text; save the file as UTF-8.", line)
        return Row(line, fields)


class _Source(io.FileIO):
    """The bytes of a file, or of a pipe, which may keep its reader waiting."""

    def __init__(self, file: Path | int) -> None:
        super().__init__(file, closefd=not isinstance(file, int))
        self.idle: Callable[[], None] = lambda: None
        self._ready = select.poll()
        self._ready.register(self, select.POLLIN)

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """As any file does; only when all that came before has been used up."""
        while not self._ready.poll(_IDLE_MS):
            self.idle()
        return super().readinto(buffer)


def _opened(path: Path, open_files: ExitStack) -> tuple[_Source, IO[str]]:
    """The file, and its text, unpacked if it is gzipped."""
    try:
        source = _Source(sys.stdin.fileno() if path == STDIN else path)
        raw = open_files.enter_context(io.BufferedReader(source, _BUFFER))
        begin = raw.peek(2)[:2]
    except FileNotFoundError as problem:
        raise DocumentError(path, "no such file.") from problem
    except IsADirectoryError as problem:
        raise DocumentError(path, "is a directory; name a file of rows.") from problem
    except OSError as problem:
        raise DocumentError(path, f"cannot be read: {problem.strerror}.") from problem
    if begin in _UTF_16:
        raise DocumentError(path, "this is UTF-16; save the file as UTF-8.")
    unpacked: Any = gzip.GzipFile(fileobj=raw) if begin == _GZIP else raw
    # What is no UTF-8 is one row's mistake, found there.
    return source, io.TextIOWrapper(unpacked, "utf-8", errors="surrogateescape", newline="")


def _lines(path: Path, text: IO[str]) -> Iterator[str]:
    """The lines without the mark that some programs put first."""
    try:
        line, number = text.readline(_LINE_MAX).removeprefix(_BOM), 1
        while line:
            if len(line) >= _LINE_MAX and not line.endswith("\n"):
                said = f"this line has over {_LINE_MAX:,} characters; nothing from here on is read."
                raise DocumentError(path, said, number)
            yield line
            line, number = text.readline(_LINE_MAX), number + 1
    except (EOFError, gzip.BadGzipFile, OSError) as problem:
        why = "it ends too early" if isinstance(problem, EOFError) else str(problem)
        raise DocumentError(path, f"cannot be read to its end: {why}.") from problem


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


# Numbers stay the text that stands there.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_distinct, parse_float=str, parse_int=str, parse_constant=str
)


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text or a number")  # noqa: TRY004 - of the document, not of code
    return value
