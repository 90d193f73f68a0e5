"""Charts: lines over a scale, drawn as wide as the page is; each line has a colour and a dash of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from paycli.pages.markup import Markup, element
from paycli.pages.scale import Scale

_PLOT: Final = 200  # heights in pixels; widths are shares of what there is
_TOP: Final = 18
_BOTTOM: Final = 20
_UNITS: Final = 1000  # across
_EDGE_PERCENT: Final = 6.0  # a text there would leave the page
_TICKS: Final = 5
_LOOKS: Final = (("var(--accent)", None), ("var(--second)", "7 4"), ("var(--idle)", "2 4"))
LINES_MAX: Final = len(_LOOKS)
STYLE: Final = """
figure.chart { margin: 0 0 1.5rem; break-inside: avoid; }
figure.chart figcaption { font-weight: 600; font-size: .9rem; margin-bottom: .25rem; }
figure.chart .grid { stroke: var(--line); stroke-width: 1; }
figure.chart polyline { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
figure.chart text { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
.keys { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .875rem; color: var(--soft); }
.keys span { display: inline-flex; align-items: center; gap: .4rem; }
.keys svg { width: 30px; height: 10px; flex: none; }
"""


class Axis(NamedTuple):
    """What lies along an axis: from where to where, and the texts at some places."""

    scale: Scale
    marks: Mapping[float, str]


def round_axis(last: float, shown: Callable[[float], str]) -> Axis:
    """From 0 to a value, with texts at round numbers."""
    scale = Scale(0.0, last if last > 0 else 1.0)
    return Axis(scale, {tick: shown(tick) for tick in scale.ticks(_TICKS)})


def line_chart(
    title: str, lines: Mapping[str, Sequence[tuple[float, float]]], across: Axis, up: Axis
) -> Markup:
    """Up to LINES_MAX lines by name, each of points (across, up)."""
    height = _TOP + _PLOT + _BOTTOM
    drawn = [
        element(
            "polyline",
            points=" ".join(_point(x, y, across.scale, up.scale) for x, y in points),
            stroke=colour,
            stroke_dasharray=dash,
        )
        for points, (colour, dash) in zip(lines.values(), _LOOKS, strict=False)
    ]
    plot = element(
        "svg",
        *drawn,
        y=_TOP,
        width="100%",
        height=_PLOT,
        viewBox=f"0 0 {_UNITS} {_PLOT}",
        preserveAspectRatio="none",
    )
    marks = [*_rows(up), *_columns(across)]
    chart = element("svg", *marks, plot, height=height, role="img", aria_label=title)
    keys = [_key(name, *look) for name, look in zip(lines, _LOOKS, strict=False)]
    return element(
        "figure",
        element("figcaption", title),
        chart,
        element("div", *keys, class_="keys"),
        class_="chart",
    )


def _point(x: float, y: float, across: Scale, up: Scale) -> str:
    return f"{across.percent(x) * _UNITS / 100:.1f},{_PLOT - up.percent(y) * _PLOT / 100:.1f}"


def _rows(up: Axis) -> list[Markup]:
    marks = []
    for value, shown in up.marks.items():
        y = _TOP + _PLOT - up.scale.percent(value) * _PLOT / 100
        marks.append(element("line", x1=0, x2="100%", y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid"))
        if value > up.scale.first:  # lines run over what stands at the bottom
            marks.append(element("text", shown, x=0, y=f"{y - 4:.1f}"))
    return marks


def _columns(across: Axis) -> list[Markup]:
    marks = []
    for value, shown in across.marks.items():
        at = across.scale.percent(value)
        anchor = "start" if at < _EDGE_PERCENT else "end" if at > 100 - _EDGE_PERCENT else "middle"
        y = _TOP + _PLOT + 15
        marks.append(element("text", shown, x=f"{at:.2f}%", y=y, text_anchor=anchor))
    return marks


def _key(name: str, colour: str, dash: str | None) -> Markup:
    line = element(
        "line", x1=0, x2=30, y1=5, y2=5, stroke=colour, stroke_width=2, stroke_dasharray=dash
    )
    return element("span", element("svg", line, aria_hidden="true"), name)
