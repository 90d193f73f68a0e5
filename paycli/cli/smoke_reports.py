"""What `paycli smoke` leaves: lines while it runs, files however it ends, and what GitHub shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from paycli.cli import output
from paycli.errors import DocumentError, InputError, PaycliError

if TYPE_CHECKING:
    from paycli.scenarios.record import Run, StepResult

_MARKS: Final = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIP", "error": "ERR "}
_ALARMS: Final = ("failed", "error")


def write_files(files: Mapping[str, Path], run: Run) -> None:
    """All of them, even if one cannot be written. Raises InputError."""
    from paycli.report_files import write_report
    from paycli.scenarios.reports.junit import junit_report
    from paycli.scenarios.reports.page import smoke_page

    makers: dict[str, Callable[[Run], bytes]] = {
        "JUnit": junit_report,
        "HTML": lambda run: smoke_page(run).encode(),
    }
    problem: InputError | None = None
    for what, path in files.items():
        try:
            write_report(path, what, makers[what](run))
        except InputError as failure:
            problem = problem or failure
    if problem is not None:
        raise problem


def tell_github(run: Run) -> None:
    """The table of the run for the page of the workflow, where one runs."""
    from paycli.scenarios.reports.github import summary

    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(path).open("a", encoding="utf-8", errors="replace") as stream:
                stream.write(summary(run))
        except OSError as problem:  # it says nothing of the run
            output.progress(f"Cannot add to GITHUB_STEP_SUMMARY, {path}: {problem.strerror}.")


def show(results: Sequence[StepResult], *, as_json: bool) -> None:
    """A line for a step that ran, and one for all steps of a suite that did not."""
    from paycli.scenarios.reports.text import step_lines

    if as_json:
        for result in results:
            _report_json(result)
    else:
        first = results[0]
        steps = first.step if len(results) == 1 else f"{len(results):,} steps"
        duration = f"{first.duration_ms:8.1f} ms"
        line = f"{_MARKS[first.verdict]} {duration}  {first.suite}: {steps}"
        output.result(output.one_line(line), alarms=first.verdict in _ALARMS)
        for line in step_lines(first):
            output.result(output.one_line(f"     {line}"))
    if _is_on_github() and results[0].verdict in _ALARMS:
        from paycli.scenarios.reports.github import annotation

        # It reads stderr as well, where no JSON is.
        say = output.progress if as_json else output.result
        say(annotation(results))


def show_mistake(problem: PaycliError) -> None:
    """Beside the line of a suite that cannot be run, where GitHub shows such."""
    if _is_on_github() and isinstance(problem, DocumentError):
        from paycli.workflow_commands import error_command

        where = str(problem.path)
        line = problem.line or 1
        output.progress(error_command(str(problem), file=where, line=line, title="paycli smoke"))


def _is_on_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _report_json(result: StepResult) -> None:
    from paycli.scenarios.problems import parts

    output.document(
        {
            "suite": result.suite,
            "step": result.step,
            "where": result.where,
            "verdict": result.verdict,
            "began_ms": result.began_ms,
            "duration_ms": result.duration_ms,
            "reason": result.reason or None,
            "problems": [parts(each) for each in result.problems],
            "again": result.again or None,
            "log": list(result.log),
        }
    )


def summarize(run: Run, *, begun: bool) -> None:
    """The last line; of a run that did not begin, the suites were not read."""
    verdicts = [str(result.verdict) for result in run.results]
    counts = [f"{verdicts.count(each)} {each}" for each in ("passed", "failed", "skipped")]
    if "error" in verdicts:
        what = "not run" if begun else "of the suites not run"
        counts.append(f"{verdicts.count('error')} {what}")
    output.progress(f"{', '.join(counts)} against {run.target}.")
