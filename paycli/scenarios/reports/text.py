"""What is wrong with a step as lines for a terminal: aligned, one for each as far as it fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from paycli.scenarios.problems import Problem
from paycli.scenarios.record import StepResult
from paycli.scenarios.reports.differences import cut, sides

_PROBLEMS_MAX: Final = 20
_COLUMNS_MAX: Final = 70  # of the path and of what was expected, for all to stand on one line
_ROOM: Final = 100  # of each side
_PLAIN_MAX: Final = 2_000


class _Row(NamedTuple):
    """A problem with both sides as they are shown."""

    path: str
    expected: str
    got: str
    mark: int | None

    @property
    def is_short(self) -> bool:
        """Whether it stands on one line."""
        begins_later = self.mark is not None and self.expected.startswith("…")
        return not begins_later and len(self.path) + len(self.expected) <= _COLUMNS_MAX

    def long(self) -> list[str]:
        """Lines of its own, and below them a mark where the sides begin to differ."""
        lines = [self.path, f"  expected {self.expected}", f"  got      {self.got}"]
        return lines if self.mark is None else [*lines, f"{'':{11 + self.mark}}^"]


def step_lines(result: StepResult) -> list[str]:
    """What there is to say of a step besides its name: nothing of one that passed."""
    lines = problem_lines(result.problems or ((result.reason,) if result.reason else ()))
    if len(lines) == 1:
        lines = [f"{result.where}: {lines[0]}"]
    elif lines:
        lines = [f"{result.where}:", *(f"  {each}" for each in lines)]
    if result.again:
        lines.append(f"again: {result.again}")
    return lines + [f"log: {each}" for each in result.log]


def problem_lines(problems: Sequence[str]) -> list[str]:
    """All that is wrong, without what could break a line."""
    told = [_row(each) for each in problems[:_PROBLEMS_MAX]]
    short = [each for each in told if isinstance(each, _Row) and each.is_short]
    path = max((len(each.path) for each in short), default=0)
    expected = max((len(each.expected) for each in short), default=0)
    lines = []
    for each in told:
        if not isinstance(each, _Row):
            lines.append(each)
        elif each.is_short:
            sides = f"expected {each.expected:{expected}}  got {each.got}"
            lines.append(f"{each.path:{path}}  {sides}")
        else:
            lines += each.long()
    if (more := len(problems) - len(told)) > 0:
        lines.append(f"and {more:,} more")
    return lines


def _row(problem: str) -> _Row | str:
    if not isinstance(problem, Problem):
        return cut(_flat(problem), _PLAIN_MAX)
    both = sides(problem, _ROOM)
    return _Row(cut(_flat(problem.path), _ROOM), _flat(both.expected), _flat(both.got), both.mark)


def _flat(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")
