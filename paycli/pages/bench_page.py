"""A bench as a page: how long calls took, how many there were in each second, and the baseline beside it.

The document is what `bench --json` prints. These keys are read; what is missing or None is left out:

    method, target, version, started_at     texts
    load                                    in words: "500 calls a second", "16 calls at once"
    duration_s, rate_per_s, calls           numbers; the rate is that of calls that succeeded
    errors                                  {status: how many calls ended so}
    latency_ms                              {mean, max, percentiles: {"50": …, "99.9": …}}
    seconds                                 [{at_s, calls, errors}], from the start on
    baseline                                {name, rate_per_s, latency_ms}, measured in the same run
    ratios                                  {name: this / baseline}
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from paycli.pages.charts import STYLE, Axis, line_chart, round_axis
from paycli.pages.markup import Markup, element
from paycli.pages.scale import Scale
from paycli.pages.skeleton import facts, page

_TEXT_MAX: Final = 200
_PAGE_STYLE: Final = (
    "td:first-child, th:first-child { padding-left: 0; } table { max-width: 40rem; }"
)


def bench_page(document: Mapping[str, Any]) -> str:
    """The whole document, for a browser and for paper."""
    method = _text(document, "method", "a service")
    about = [f"Against {_text(document, 'target', 'a service')}"]
    about += [_text(document, "load")] if document.get("load") else []
    about += [f"begun at {_text(document, 'started_at')}"] if document.get("started_at") else []
    by = f", by paycli {_text(document, 'version')}" if document.get("version") else ""
    return page(
        f"paycli bench: {method}",
        STYLE + _PAGE_STYLE,
        element("h1", f"paycli bench: {method}"),
        element("p", f"{', '.join(about)}{by}.", class_="soft"),
        facts(_numbers(document)),
        element("h2", "How long a call took"),
        *_latency(document),
        *_over_time(document),
        *_table("Beside the baseline", ("", "ratio"), _ratios(document)),
        *_table("Errors", ("status", "calls"), _errors(document)),
    )


def _numbers(document: Mapping[str, Any]) -> dict[str, str]:
    errors = sum(_part(document, "errors").values())
    latency = _part(document, "latency_ms")
    told = {
        "calls": _shown(document.get("calls"), "{:,}"),
        "errors": f"{errors:,}",
        "calls a second": _shown(document.get("rate_per_s"), "{:,.1f}"),
        "duration": _shown(document.get("duration_s"), "{:,.1f} s"),
        "mean": _shown(latency.get("mean"), "{:,.3f} ms"),
        "longest": _shown(latency.get("max"), "{:,.3f} ms"),
    }
    return {name: value for name, value in told.items() if value}


def _latency(document: Mapping[str, Any]) -> list[Markup]:
    """The curve, and the same as a table."""
    mine = _percentiles(document)
    if not mine:
        return [element("p", "No call was answered.", class_="note")]
    baseline = _part(document, "baseline")
    theirs = _percentiles(baseline)
    name = _text(baseline, "name", "baseline")
    lines = {"this": mine} | ({name: theirs} if theirs else {})
    curves = {
        who: [(_nines(share), took) for share, took in points.items()]
        for who, points in lines.items()
    }
    longest = max(took for points in lines.values() for took in points.values())
    marks = {_nines(share): f"{share:g} %" for share in mine if _is_marked(share)}
    across = Axis(Scale(0.0, max(1.0, max(map(_nines, mine)))), {0.0: "0 %"} | marks)
    up = round_axis(longest, lambda took: f"{took:g} ms")
    title = "So many of all calls took no longer"
    rows = [
        (
            f"{share:g} %",
            f"{took:,.3f} ms",
            *(
                (_shown(theirs.get(share), "{:,.3f} ms"), _ratio(took, theirs.get(share)))
                * bool(theirs)
            ),
        )
        for share, took in mine.items()
    ]
    head = ("of calls", "took up to", *((name, "ratio") * bool(theirs)))
    return [line_chart(title, curves, across, up), *_table("", head, rows)]


def _over_time(document: Mapping[str, Any]) -> list[Markup]:
    seconds: Sequence[Mapping[str, Any]] = document.get("seconds") or ()
    if len(seconds) < 2:  # a line has two ends
        return []
    calls = [(float(each["at_s"]), float(each.get("calls") or 0)) for each in seconds]
    errors = [(float(each["at_s"]), float(each.get("errors") or 0)) for each in seconds]
    lines = {"calls": calls} | ({"errors": errors} if any(count for _, count in errors) else {})
    most = max(count for points in lines.values() for _, count in points)
    across = round_axis(calls[-1][0], lambda at: f"{at:g} s")
    chart = line_chart(
        "Calls in each second", lines, across, round_axis(most, lambda count: f"{count:,g}")
    )
    return [element("h2", "How many there were"), chart]


def _percentiles(told: Mapping[str, Any]) -> dict[float, float]:
    """By the share of calls in percent; the longest of all, at 100, has no place on the curve."""
    found = _part(_part(told, "latency_ms"), "percentiles")
    read = {float(share): took for share, took in found.items() if took is not None}
    return {share: float(read[share]) for share in sorted(read) if 0 <= share < 100}


def _nines(share: float) -> float:
    """How many nines the share has, for each the same width: 90 % is 1, 99 % is 2."""
    return -math.log10(1 - share / 100)


def _is_marked(share: float) -> bool:
    return math.isclose(_nines(share), round(_nines(share)), abs_tol=1e-9) and share > 0


def _ratios(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (str(name), _shown(value, "{:.2f}")) for name, value in _part(document, "ratios").items()
    ]


def _errors(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    counted = sorted(_part(document, "errors").items(), key=lambda each: -each[1])
    return [(str(status), f"{count:,}") for status, count in counted]


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Markup]:
    if not rows:
        return []
    heads = [
        element("th", name, scope="col", class_="number" if number else None)
        for number, name in enumerate(head)
    ]
    told = [
        element(
            "tr",
            *(
                element("td", cell[:_TEXT_MAX], class_="number" if number else None)
                for number, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    table = element("table", element("thead", element("tr", *heads)), element("tbody", *told))
    return [element("h2", title), table] if title else [table]


def _ratio(mine: float, theirs: float | None) -> str:
    return f"{mine / theirs:.2f}" if theirs else ""


def _part(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return document.get(key) or {}


def _text(document: Mapping[str, Any], key: str, otherwise: str = "") -> str:
    return str(document.get(key) or otherwise)[:_TEXT_MAX]


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
