"""A bench as a page: how long calls took, how many there were over time, and this machine's floor.

It draws the document that `bench --json` prints, format paycli-bench/1; what it lacks is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from paycli.pages.charts import STYLE, Axis, line_chart, round_axis
from paycli.pages.markup import Markup, element
from paycli.pages.scale import Scale
from paycli.pages.skeleton import facts, page

_TEXT_MAX: Final = 300
_STEP: Final = 0.005  # nines between two points of the curve: what is closer is not seen
_MARKS_MAX: Final = 6
_PAGE_STYLE: Final = """
td:first-child, th:first-child { padding-left: 0; }
td:first-child { min-width: 5.5rem; }
table { max-width: 44rem; }
th.number, td.number.text { white-space: normal; }
th.number { overflow-wrap: normal; }
.warning { border-left: 3px solid var(--odd); padding-left: .75rem; }
"""
_RATIOS: Final = {
    "rate_to_echo": "calls / calls of an echo",
    "rate_to_fsync": "calls / fsyncs",
    "echo_rate": "calls of an echo a second",
    "fsync_rate": "fsyncs a second",
}

_Document = Mapping[str, Any]


def bench_page(document: _Document) -> str:
    """The whole document, for a browser and for paper."""
    config = _part(document, "config")
    method = _text(config.get("method") or "a service")
    return page(
        f"paycli bench: {method}",
        STYLE + _PAGE_STYLE,
        element("h1", f"paycli bench: {method}"),
        element("p", _about(document, config), class_="soft"),
        *(element("p", each, class_="warning") for each in _warnings(document, config)),
        facts(_numbers(document)),
        element("h2", "How long a call took"),
        *_latency(document),
        *_over_time(document),
        *_baseline(document),
        *_growth(document),
        *_small_tables(document),
    )


def _about(document: _Document, config: _Document) -> str:
    told = [f"Against {_text(config.get('target') or 'a service')}"]
    if (rate := config.get("rate")) is not None:
        told.append(f"{rate:,g} calls a second asked for")
    if (concurrency := config.get("concurrency")) is not None:
        told.append(f"{concurrency:,} at once")
    if (payments := config.get("payments_per_call") or 1) > 1:
        told.append(f"{payments:,} payments in a call")
    if document.get("started_at"):
        told.append(f"begun at {_text(document['started_at'])}")
    return ", ".join(told) + "."


def _warnings(document: _Document, config: _Document) -> Iterator[str]:
    if document.get("is_interrupted"):
        yield "The run was interrupted; this is what there was until then."
    generators = _part(document, "generators")
    if generators.get("is_limit"):
        yield f"The generators were the limit: {_text(generators.get('why') or 'no reason given')}"
    if config.get("why_grpcio"):
        yield f"Sent with grpcio, which costs more: {_text(config['why_grpcio'])}"


def _numbers(document: _Document) -> dict[str, str]:
    latency = _part(document, "latency_ms")
    told = {
        "calls": _shown(document.get("calls"), "{:,}"),
        "errors": _shown(document.get("errors"), "{:,}"),
        "succeeded a second": _shown(document.get("rate"), "{:,.1f}"),
        "duration": _shown(document.get("seconds"), "{:,.1f} s"),
        "half within": _ms(latency.get("p50")),
        "99 % within": _ms(latency.get("p99")),
    }
    return {name: value for name, value in told.items() if value}


def _latency(document: _Document) -> list[Markup]:
    """The curve, and some of its points as a table."""
    curve = _curve(document.get("histogram") or ())
    if not curve:
        return [element("p", "No call succeeded.", class_="note")]
    last = max(1.0, curve[-1][0])
    marked = range(0, int(last) + 1, 1 + int(last / _MARKS_MAX))
    marks = {float(nines): f"{100 - 100 / 10**nines:.12g} %" for nines in marked}
    up = round_axis(max(took for _, took in curve), lambda took: f"{took:g} ms")
    title = "So many of all calls took no longer"
    chart = line_chart(title, {"calls that succeeded": curve}, Axis(Scale(0.0, last), marks), up)
    told = _part(document, "latency_ms")
    return [chart, *_table("", ("of calls", "took"), [(_text(n), _ms(v)) for n, v in told.items()])]


def _curve(histogram: Sequence[_Document]) -> list[tuple[float, float]]:
    """Latencies by how many nines the share of calls has: 90 % is 1, 99 % is 2."""
    total = sum(each["count"] for each in histogram)
    points: list[tuple[float, float]] = []
    before = 0
    for number, each in enumerate(histogram, 1):
        nines = -math.log10(1 - before / total)
        if not points or nines - points[-1][0] >= _STEP or number == len(histogram):
            points.append((nines, each["up_to_ms"]))
        before += each["count"]
    return points


def _over_time(document: _Document) -> list[Markup]:
    slices: Sequence[_Document] = document.get("slices") or ()
    rates = {
        "succeeded": _line(slices, lambda each: each.get("rate")),
        "errors": _line(slices, lambda each: each["errors"] / each["seconds"])
        if document.get("errors")
        else [],
    }
    took = {f"{name} of calls": _line(slices, lambda each, key=key: each.get(key))
            for name, key in (("50 %", "p50_ms"), ("99 %", "p99_ms"))}  # fmt: skip
    charts = [
        *_chart("Calls a second", rates, "{:,g}", slices),
        *_chart("How long they took", took, "{:g} ms", slices),
    ]
    return [element("h2", "Over time"), *charts] if charts else []


def _line(slices: Sequence[_Document], value: Any) -> list[tuple[float, float]]:
    """A point in the middle of each stretch of the run in which there is a value."""
    return [
        (each["at_s"] + each["seconds"] / 2, found)
        for each in slices
        if (found := value(each)) is not None
    ]


def _chart(
    title: str,
    lines: Mapping[str, list[tuple[float, float]]],
    form: str,
    slices: Sequence[_Document],
) -> list[Markup]:
    drawn = {name: points for name, points in lines.items() if len(points) > 1}
    if not drawn:
        return []
    end = max(each["at_s"] + each["seconds"] for each in slices)
    most = max(value for points in drawn.values() for _, value in points)
    return [
        line_chart(title, drawn, round_axis(end, "{:g} s".format), round_axis(most, form.format))
    ]


def _baseline(document: _Document) -> list[Markup]:
    baseline = _part(document, "baseline")
    rows = [
        (name, *(_shown(spread.get(each), "{:,.3f}" if "_to_" in key else "{:,.0f}") for each in ("min", "median", "max")))
        for key, name in _RATIOS.items()
        if (spread := _part(baseline, key))
    ]  # fmt: skip
    return _table("Beside this machine's floor", ("", "least", "middle", "most"), rows)


def _growth(document: _Document) -> list[Markup]:
    rows = [
        (
            f"{each['stored']:,}",
            f"{each['rate']:,.1f}",
            _ms(each.get("p99_ms")),
            f"{each['ratio']:.2f}",
        )
        for each in document.get("growth") or ()
    ]
    head = ("stored", "calls a second", "99 % within", "ratio to the first")
    return _table("As the store grows", head, rows)


def _small_tables(document: _Document) -> list[Markup]:
    statuses = sorted(_part(document, "statuses").items(), key=lambda each: -each[1])
    generators = _part(document, "generators")
    shares = generators.get("cpu_shares") or ()
    used = [(f"process {n}", f"{share:.0%}") for n, share in enumerate(shares, 1)]
    if generators.get("late_p99_ms") is not None:
        used.append(("99 % of calls sent late by up to", _ms(generators["late_p99_ms"])))
    machine = [(_text(name), _text(value)) for name, value in _part(document, "machine").items()]
    return [
        *_table(
            "How calls ended", ("status", "calls"), [(_text(n), f"{v:,}") for n, v in statuses]
        ),
        *_table("The generators", ("", "of a processor"), used),
        *_table("The machine", ("", ""), machine, side="number text"),
    ]


def _table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], side: str = "number"
) -> list[Markup]:
    if not rows:
        return []
    header = [element("thead", _row("th", head, side))] if any(head) else []
    body = [_row("td", cells, side) for cells in rows]
    table = element("table", *header, element("tbody", *body))
    return [element("h2", title), table] if title else [table]


def _row(tag: str, cells: Sequence[str], side: str) -> Markup:
    """All but the first cell stand on the right."""
    first, *others = cells
    return element("tr", element(tag, first), *(element(tag, each, class_=side) for each in others))


def _part(document: _Document, key: str) -> _Document:
    return document.get(key) or {}


def _text(value: object) -> str:
    return str(value)[:_TEXT_MAX]


def _ms(value: float | None) -> str:
    return _shown(value, "{:,.3f} ms")


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
