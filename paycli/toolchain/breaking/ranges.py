"""Ranges of numbers, both ends included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Range = tuple[int, int]


def lost_ranges(old: Sequence[Range], new: Sequence[Range]) -> Iterator[str]:
    """For each old range that `new` no longer covers: itself, and what of it is missing."""
    for first, last in old:
        gaps = list(_gaps(first, last, new))
        if gaps:
            missing = ", ".join(map(_show, gaps))
            whole = gaps == [(first, last)]
            yield _show((first, last)) if whole else f"{missing} of {_show((first, last))}"


def _gaps(first: int, last: int, covered: Sequence[Range]) -> Iterator[Range]:
    for start, end in sorted(covered):
        if end < first:
            continue
        if start > last:
            break
        if start > first:
            yield first, start - 1
        first = end + 1
    if first <= last:
        yield first, last


def _show(span: Range) -> str:
    first, last = span
    return str(first) if first == last else f"{first} to {last}"
