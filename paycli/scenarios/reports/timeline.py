"""The timeline of a run: a lane for each suite, a bar for each step that ran."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from paycli.pages.markup import Markup, element, joined
from paycli.pages.scale import Scale
from paycli.scenarios.record import StepResult, Verdict

_HEIGHT: Final = 20
_TICKS: Final = 4
_EDGE_PERCENT: Final = 94.0  # a number there would leave the page
_FILLS: Final = {
    Verdict.PASSED: "var(--good)",
    Verdict.FAILED: "url(#stripes)",
    Verdict.ERROR: "url(#dots)",
}
_LETTERS: Final = {Verdict.FAILED: "F", Verdict.ERROR: "E"}
STYLE: Final = """
.lane { display: grid; grid-template-columns: minmax(6rem, 14rem) 1fr; gap: 0 .75rem; align-items: center; }
.lane + .lane { border-top: 1px solid var(--line); }
.lane > span { font-size: .875rem; padding: .3rem 0; }
.lane svg { overflow: hidden; }
.bar { stroke: var(--paper); stroke-width: .5px; }
.bar.failed { stroke: var(--bad); stroke-width: 1.5px; }
.bar.error { stroke: var(--odd); stroke-width: 1.5px; }
svg text.letter { fill: var(--ink); font-weight: 700; font-size: 11px; paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin-top: .5rem; font-size: .875rem; color: var(--soft); }
.legend span { display: inline-flex; align-items: center; gap: .4rem; }
.legend svg { width: 22px; height: 14px; flex: none; }
.patterns { position: absolute; width: 0; height: 0; }
@media (max-width: 40rem) { .lane { grid-template-columns: 1fr; } .lane > span { padding-bottom: 0; } }
"""


def _pattern(name: str, *inside: Markup) -> Markup:
    return element(
        "pattern",
        element("rect", width=6, height=6, fill="var(--paper)"),
        *inside,
        id=name,
        width=6,
        height=6,
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )


# Once in a page; every bar may refer to them.
PATTERNS: Final = element(
    "svg",
    _pattern("stripes", element("rect", width=3.5, height=6, fill="var(--bad)")),
    _pattern("dots", element("circle", cx=3, cy=3, r=2, fill="var(--odd)")),
    class_="patterns",
    aria_hidden="true",
)


def lanes(suites: Iterable[tuple[str, list[tuple[int, StepResult]]]]) -> Markup:
    """A lane for each suite; a step has its number in the run, from 1, which its bar leads to."""
    suites = list(suites)
    begun = [
        (step.started_s, step.started_s + step.duration_s)
        for _, steps in suites
        for _, step in steps
        if step.started_s is not None
    ]
    if not begun:
        return element("p", "No step began.", class_="note")
    first = min(start for start, _ in begun)
    scale = Scale(first, max(max(end for _, end in begun), first + 1e-6))
    rows = [_lane(name, steps, scale) for name, steps in suites]
    axis = element("div", element("span", ""), _axis(scale), class_="lane axis")
    return element("figure", *rows, axis, _legend(), style="margin: 0")


def _lane(name: str, steps: list[tuple[int, StepResult]], scale: Scale) -> Markup:
    idle = sum(step.started_s is None for _, step in steps)
    note = [element("span", f" · {idle:,} not run", class_="soft")] if idle else []
    drawn = element(
        "svg",
        *(_bar(number, step, scale) for number, step in steps if step.started_s is not None),
        height=_HEIGHT + 4,
        role="img",
        aria_label=f"when the steps of {name} ran",
    )
    return element("div", element("span", name, *note), drawn, class_="lane")


def _bar(number: int, step: StepResult, scale: Scale) -> Markup:
    assert step.started_s is not None
    begin = scale.percent(step.started_s)
    width = max(scale.percent(step.started_s + step.duration_s) - begin, 0.15)
    told = f"{step.step[:200]}: {step.verdict}, {step.duration_ms:.1f} ms"
    rect = element(
        "rect",
        element("title", told),
        x=f"{begin:.3f}%",
        y=2,
        width=f"{width:.3f}%",
        height=_HEIGHT,
        fill=_FILLS.get(step.verdict, "var(--idle)"),
        class_=f"bar {step.verdict}",
    )
    letter = _LETTERS.get(step.verdict)
    if letter is None:
        return element("a", rect, href=f"#step-{number}")
    at = min(begin + width / 2, 98.5)
    shown = element("text", letter, x=f"{at:.3f}%", y=16, text_anchor="middle", class_="letter")
    return element("a", rect, shown, href=f"#step-{number}")


def _axis(scale: Scale) -> Markup:
    marks = []
    since = Scale(0, scale.last - scale.first)
    for tick in since.ticks(_TICKS):
        percent = since.percent(tick)
        anchor = "start" if not tick else "end" if percent > _EDGE_PERCENT else "middle"
        shown = _duration(tick)
        marks.append(element("text", shown, x=f"{percent:.3f}%", y=14, text_anchor=anchor))
    return element("svg", *marks, height=18, aria_hidden="true")


def _duration(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def _legend() -> Markup:
    shown = []
    for verdict, word in (
        (Verdict.PASSED, "passed"),
        (Verdict.FAILED, "F failed"),
        (Verdict.ERROR, "E not to its end"),
    ):
        bar = element(
            "rect", x=1, y=1, width=20, height=12, fill=_FILLS[verdict], class_=f"bar {verdict}"
        )
        shown.append(element("span", element("svg", bar, aria_hidden="true"), word))
    return element("div", joined(*shown), class_="legend")
