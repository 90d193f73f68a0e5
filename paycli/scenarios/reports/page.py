"""A run as a page for a browser: what came of it, when each step ran, and what was wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from paycli import __version__
from paycli.pages.markup import Markup, element, joined
from paycli.pages.skeleton import facts, page
from paycli.scenarios.problems import Problem, Words
from paycli.scenarios.record import Run, StepResult, Verdict
from paycli.scenarios.reports.differences import alike, cut, sides
from paycli.scenarios.reports.timeline import PATTERNS, STYLE, lanes

_PROBLEMS_MAX: Final = 20
_LINKS_MAX: Final = 10
_ROOM: Final = 600  # characters of each side of a problem
_TEXT_MAX: Final = 4_000
_NAME_MAX: Final = 300
_NAMES: Final = {
    Verdict.PASSED: ("✓", "passed"),
    Verdict.FAILED: ("F", "failed"),
    Verdict.SKIPPED: ("S", "skipped"),
    Verdict.ERROR: ("E", "not run"),
}
_PAGE_STYLE: Final = """
ul { margin: .5rem 0; padding-left: 1.25rem; }
.verdict { white-space: nowrap; font-weight: 600; width: 6.5rem; }
.verdict b {
  display: inline-block; width: 1.5em; margin-right: .4em; text-align: center; border-radius: 4px;
  border: 1px solid currentColor;
}
.passed .verdict { color: var(--good); } .failed .verdict { color: var(--bad); }
.error .verdict { color: var(--odd); } .skipped .verdict { color: var(--idle); }
tr.has-detail > td { border-bottom: 0; padding-bottom: 0; }
tr:target > td { background: var(--panel); }
tr.detail > td { padding: 0 .6rem 1rem 7.1rem; }
.problem { margin: .5rem 0; padding-left: .75rem; border-left: 3px solid var(--bad); }
.error .problem { border-color: var(--odd); } .skipped .problem { border-color: var(--idle); }
.side { display: grid; grid-template-columns: 4.5rem 1fr; font-size: .875rem; color: var(--soft); }
.side > code { white-space: pre-wrap; font-size: .95em; color: var(--ink); line-height: 1.6; }
mark { background: var(--mark); color: inherit; border-bottom: 2px solid var(--bad); }
summary { color: var(--soft); font-size: .875rem; cursor: pointer; }
@media (max-width: 40rem) {
  .verdict { width: 2.4rem; } .verdict span, .began { display: none; }
  .verdict b { margin-right: 0; }
  tr.detail > td { padding-left: .35rem; }
}
"""


def smoke_page(run: Run) -> str:
    """The whole document; every text of somebody else in it is cut if it is too long."""
    wrong = run.count(Verdict.FAILED) + run.count(Verdict.ERROR)
    steps = f"{len(run.results):,} step{'' if len(run.results) == 1 else 's'}"
    said = f"{steps}, {wrong:,} of them not as expected" if wrong else f"{steps}, nothing wrong"
    counts = {_NAMES[each][1]: f"{run.count(each):,}" for each in Verdict}
    return page(
        f"paycli smoke: {said}",
        _PAGE_STYLE + STYLE,
        PATTERNS,
        element("h1", f"paycli smoke: {said}"),
        element(
            "p",
            f"Against {cut(run.target, _NAME_MAX)}, begun at {run.started_at:%Y-%m-%d %H:%M:%S} UTC, "
            f"by paycli {__version__}.",
            class_="soft",
        ),
        facts({**counts, "duration": f"{run.duration_s:.2f} s"}),
        _wrong(run.results),
        element("h2", "When each step ran"),
        lanes(_by_suite(run.results)),
        element("h2", "What came of each step"),
        _table(run.results),
    )


def _wrong(results: Sequence[StepResult]) -> Markup:
    """Where to look first."""
    wrong = [
        element(
            "li", element("a", cut(f"{each.suite}: {each.step}", _NAME_MAX), href=f"#step-{number}")
        )
        for number, each in enumerate(results, 1)
        if each.verdict in (Verdict.FAILED, Verdict.ERROR)
    ]
    if not wrong:
        return joined()
    if (more := len(wrong) - _LINKS_MAX) > 0:
        wrong[_LINKS_MAX:] = [element("li", f"and {more:,} more", class_="note")]
    return joined(element("h2", "Not as expected"), element("ul", *wrong))


def _by_suite(results: Sequence[StepResult]) -> Iterable[tuple[str, list[tuple[int, StepResult]]]]:
    """The steps of each suite with their number in the run, from 1."""
    numbered = enumerate(results, 1)
    for (_, suite), steps in groupby(numbered, key=lambda each: (each[1].path, each[1].suite)):
        yield cut(suite, _NAME_MAX), list(steps)


def _table(results: Sequence[StepResult]) -> Markup:
    head = element(
        "tr",
        element("th", "", scope="col"),
        element("th", "step", scope="col"),
        element("th", "began", scope="col", class_="number began"),
        element("th", "took", scope="col", class_="number"),
    )
    rows = [_rows(number, result) for number, result in enumerate(results, 1)]
    return element("table", element("thead", head), element("tbody", *rows))


def _rows(number: int, result: StepResult) -> Markup:
    letter, word = _NAMES[result.verdict]
    detail = _detail(result)
    began = "" if result.began_ms is None else f"{result.began_ms / 1000:.3f} s"
    took = "" if result.began_ms is None else f"{result.duration_ms:.1f} ms"
    row = element(
        "tr",
        element("td", element("b", letter, title=word), element("span", word), class_="verdict"),
        element(
            "td",
            element("span", cut(f"{result.suite}: {result.step}", _NAME_MAX)),
            Markup("<br/>"),
            element("span", cut(result.where, _NAME_MAX), class_="note mono"),
        ),
        element("td", began, class_="number began"),
        element("td", took, class_="number"),
        id=f"step-{number}",
        class_=f"{result.verdict}{' has-detail' if detail else ''}",
    )
    if not detail:
        return row
    inner = element("td", *detail, colspan=4)
    return joined(row, element("tr", inner, class_=f"detail {result.verdict}"))


def _detail(result: StepResult) -> list[Markup]:
    problems = result.problems or ((result.reason,) if result.reason else ())
    parts = [_problem(each) for each in problems[:_PROBLEMS_MAX]]
    if (more := len(problems) - _PROBLEMS_MAX) > 0:
        parts.append(element("p", f"and {more:,} more", class_="note"))
    if result.again:
        again = element("pre", cut(result.again, _TEXT_MAX), class_="again")
        parts += [element("p", "To make its call again:", class_="note"), again]
    if result.log:
        log = element("pre", cut("\n".join(result.log), _TEXT_MAX), class_="log")
        summary = element("summary", "The last lines of the server's log")
        parts.append(element("details", summary, log, open="open"))
    return parts


def _problem(problem: str) -> Markup:
    if not isinstance(problem, Problem):
        return element("div", cut(problem, _TEXT_MAX), class_="problem")
    both = sides(problem, _ROOM)
    is_marked = not isinstance(problem.expected, Words) and not isinstance(problem.got, Words)
    expected, got = _marked(both.expected, both.got) if is_marked else (both.expected, both.got)
    return element(
        "div",
        element("code", cut(problem.path, _NAME_MAX)),
        element("div", element("span", "expected"), element("code", expected), class_="side"),
        element("div", element("span", "got"), element("code", got), class_="side"),
        class_="problem",
    )


def _marked(expected: str, got: str) -> tuple[Markup, Markup]:
    """Both, with what lies between a common beginning and a common end marked."""
    begin = alike(expected, got)
    room = min(len(expected), len(got)) - begin
    end = min(room, alike(expected[::-1], got[::-1]))

    def marked(side: str) -> Markup:
        last = len(side) - end
        middle = [element("mark", side[begin:last])] if begin < last else []
        return joined(side[:begin], *middle, side[last:])

    return marked(expected), marked(got)
