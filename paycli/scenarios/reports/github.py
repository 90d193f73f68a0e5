"""What GitHub Actions shows of a run: failures beside their steps, and a table for the summary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from paycli.scenarios.record import Run, StepResult, Verdict
from paycli.scenarios.reports.differences import cut
from paycli.workflow_commands import error_command

_MESSAGE_MAX: Final = 4_000
_CELL_MAX: Final = 300
_ROWS_MAX: Final = 500  # GitHub refuses a summary of more than a MiB
_MARKS: Final = {
    Verdict.PASSED: "✅ passed",
    Verdict.FAILED: "❌ failed",
    Verdict.SKIPPED: "⏭️ skipped",
    Verdict.ERROR: "⛔ not run",
}
# What Markdown or HTML would read as more than text, in the cell of a table.
_MARKDOWN: Final = re.compile(r"[\\`*_{}\[\]<>#|~&@:$]")


def annotation(results: Sequence[StepResult]) -> str:
    """The workflow command for a step that failed, or for those of a suite that did not run."""
    result = results[0]
    step = result.step if len(results) == 1 else f"{len(results):,} steps"
    path, _, line = result.where.rpartition(":")
    message = cut("\n".join(result.problems) or result.reason, _MESSAGE_MAX)
    if result.again:
        message += f"\nagain: {result.again}"
    return error_command(message, file=path, line=line, title=f"{result.suite}: {step}")


def summary(run: Run) -> str:
    """A heading and a table in Markdown; what is wrong comes first where not all has room."""
    counts = ", ".join(f"{run.count(each)} {_MARKS[each].partition(' ')[2]}" for each in Verdict)
    shown = run.results
    if len(shown) > _ROWS_MAX:
        wrong = (Verdict.FAILED, Verdict.ERROR)
        shown = sorted(shown, key=lambda each: each.verdict not in wrong)[:_ROWS_MAX]
    rows = [
        f"| {_MARKS[each.verdict]} | {_cell(f'{each.suite}: {each.step}')} "
        f"| {each.duration_ms:.1f} ms | {_cell(each.reason)} |"
        for each in shown
    ]
    more = len(run.results) - len(shown)
    return "\n".join(
        [
            f"### paycli smoke: {counts}",
            "",
            f"Against {_cell(run.target)}, in {run.duration_s:.1f} s.",
            "",
            "| | step | took | why |",
            "|---|---|--:|---|",
            *rows,
            *([f"\nand {more:,} more steps"] if more else []),
            "\n",
        ]
    )


def _cell(text: str) -> str:
    """Text as it stands, whatever is in it."""
    flat = " ".join(cut(text, _CELL_MAX).split())
    return _MARKDOWN.sub(lambda found: f"&#{ord(found[0])};", flat)
