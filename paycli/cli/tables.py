"""Records as a table on a terminal, and one JSON document a line everywhere else."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final, NamedTuple

from paycli.cli import output

_MEASURED: Final = (
    50  # so many rows decide how wide columns are; those that follow come as they may
)
_GAP: Final = "  "
_ROOM: Final = 80  # of a terminal that does not say


class Column(NamedTuple):
    """A heading and what stands below it."""

    heading: str
    text: Callable[[Mapping[str, Any]], str]
    is_number: bool = False


def show(
    records: Iterable[Mapping[str, Any]],
    columns: Sequence[Column],
    what: str,
    *,
    as_json: bool,
) -> None:
    """Show records as they come. The columns that matter most come first: the last ones may be left out.

    `what` is what a person calls one of them.
    """
    if as_json or not sys.stdout.isatty():
        for each in records:
            output.document(each)
        return
    coming = iter(records)
    first = list(islice(coming, _MEASURED))
    if not first:
        output.progress(f"No {what}s.")
        return
    texts = [[output.one_line(column.text(each)) for column in columns] for each in first]
    widths = [
        max(_width(text) for text in column)
        for column in zip([column.heading for column in columns], *texts, strict=True)
    ]
    fitting = _fitting(widths, os.get_terminal_size(sys.stdout.fileno()).columns or _ROOM)
    kept = list(zip(columns, widths, strict=True))[:fitting]
    output.result(_line([column.heading for column, _ in kept], kept))
    for each in chain(first, coming):
        output.result(_line([output.one_line(column.text(each)) for column, _ in kept], kept))
    if left_out := [column.heading for column in columns[fitting:]]:
        output.progress(f"This terminal is too narrow for {', '.join(left_out)}; --json has all.")


def _fitting(widths: Sequence[int], room: int) -> int:
    """How many columns have room; the first always does."""
    for count in range(len(widths), 1, -1):
        if sum(widths[:count]) + len(_GAP) * (count - 1) <= room:
            return count
    return 1


def _line(texts: Sequence[str], columns: Sequence[tuple[Column, int]]) -> str:
    parts = []
    for text, (column, width) in zip(texts, columns, strict=True):
        blanks = " " * (width - _width(text))
        parts.append(blanks + text if column.is_number else text + blanks)
    return _GAP.join(parts).rstrip()


def _width(text: str) -> int:
    """How many cells of a terminal it takes: East Asian letters two, what combines none."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )
