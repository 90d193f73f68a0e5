"""What differs between what was expected and what came, short enough to be seen."""

from __future__ import annotations

from typing import Final, NamedTuple

from paycli.scenarios.problems import Problem, Words, shown

_BEFORE: Final = 3  # a third of the room is for what is alike, before the difference


class Sides(NamedTuple):
    """Both sides as they are shown; `mark` is where two values begin to differ."""

    expected: str
    got: str
    mark: int | None


def sides(problem: Problem, room: int) -> Sides:
    """Both sides in so many characters; of values that are longer, what is around the difference."""
    expected, got = shown(problem.expected), shown(problem.got)
    if isinstance(problem.expected, Words) or isinstance(problem.got, Words):
        return Sides(cut(expected, room), cut(got, room), None)
    same = alike(expected, got)
    is_long = max(len(expected), len(got)) > room
    begin = max(0, same - room // _BEFORE) if is_long else 0
    before = "…" if begin else ""
    cuts = [before + cut(each[begin:], room) for each in (expected, got)]
    return Sides(cuts[0], cuts[1], same - begin + len(before))


def alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # some may be megabytes long
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def cut(text: str, room: int) -> str:
    """The beginning of a text that is longer, and how much of it is missing."""
    return text if len(text) <= room else f"{text[:room]}… and {len(text) - room:,} more characters"
