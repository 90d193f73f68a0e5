"""The record of a run: what came of every step, with nothing left out however the run ends."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby
from pathlib import Path


class Verdict(StrEnum):
    """How a step ended. An error is a step that did not run, or not to its end: nothing is proved."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step, how it ended, when it began in the run, how long it took, and why it did not pass.

    If it failed, `problems` are the parts of the reason, `again` is the command line that makes its call
    once more, and `log` the last lines of the server's log. `started_s` is None for what never began.
    """

    suite: str
    step: str
    where: str
    verdict: Verdict
    duration_s: float = 0.0
    reason: str = ""
    again: str = ""
    problems: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    started_s: float | None = None

    def failed(self, problems: Sequence[str], again: str) -> StepResult:
        """The same step, with what is wrong about it."""
        return replace(
            self,
            verdict=Verdict.FAILED,
            reason="; ".join(problems),
            again=again,
            problems=tuple(problems),
        )

    @property
    def began_ms(self) -> float | None:
        """When it began, as every report rounds it."""
        return None if self.started_s is None else round(self.started_s * 1000, 3)

    @property
    def duration_ms(self) -> float:
        """How long it took, as every report rounds it."""
        return round(self.duration_s * 1000, 3)

    @property
    def path(self) -> str:
        """The file of the suite, which tells suites of one name apart."""
        return self.where.rpartition(":")[0]


@dataclass(frozen=True, slots=True)
class Run:
    """A run as reports show it: what was proved, from when on and for how long, and all results."""

    target: str
    started_at: datetime
    duration_s: float
    results: Sequence[StepResult]

    def count(self, verdict: Verdict) -> int:
        """How many steps ended so."""
        return sum(result.verdict is verdict for result in self.results)


class Record:
    """The results so far, in the order in which they came."""

    def __init__(self, report: Callable[[Sequence[StepResult]], None]) -> None:
        """`report` hears of every result.

        Results that come together are steps of one suite that did not run, for one reason.
        """
        self.results: list[StepResult] = []
        self.begun = False
        self.started_at = datetime.now(UTC)
        self._started = time.perf_counter()
        self._report = report
        self._planned = [StepResult("smoke", "the run as a whole", "smoke:1", Verdict.ERROR)]

    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._started

    def plan_suites(self, paths: Sequence[Path]) -> None:
        """The suites of the run, before they are read: each is an error as a whole."""
        self._planned = [
            StepResult(path.stem, "the suite as a whole", f"{path}:1", Verdict.ERROR)
            for path in paths
        ]

    def begin(self, steps: Sequence[StepResult]) -> None:
        """The steps of the suites that were read: as results, they are errors until they ran."""
        self._planned = list(steps)
        self.begun = True

    def add(self, results: Sequence[StepResult]) -> None:
        """Note what came of the next steps."""
        self.results += results
        self._report(results)

    def finish(self, why: str) -> None:
        """Note and report that nothing of what is left will run."""
        for _, steps in groupby(self._left(f"not run: {why}"), key=lambda result: result.path):
            self.add(list(steps))

    def whole(self, why: str, target: str) -> Run:
        """All results; what has none is an error, and `why` says what kept it from having one."""
        results = self.results + self._left(f"no result: {why}")
        return Run(target, self.started_at, self.elapsed_s(), results)

    def _left(self, reason: str) -> list[StepResult]:
        there = Counter((each.where, each.step) for each in self.results)
        left = []
        for each in self._planned:
            if there[each.where, each.step]:
                there[each.where, each.step] -= 1
            else:
                left.append(replace(each, reason=reason))
        return left
