"""The page of a bench, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paycli.pages.bench_page import bench_page
from tests.browsers import SCHEMES, assert_fits, opened

HOSTILE = "<script>document.title = 'taken'</script>\u202e\x00" + "w" * 4_000_000
DOCUMENT: dict[str, Any] = {
    "method": "payment.PaymentService/ProcessPayment",
    "target": "localhost:50051",
    "version": "0.1.0",
    "started_at": "2026-01-31T12:00:00Z",
    "load": "500 calls a second",
    "duration_s": 10.0,
    "calls": 5_000,
    "rate_per_s": 498.75,
    "errors": {"UNAVAILABLE": 9, "DEADLINE_EXCEEDED": 3},
    "latency_ms": {
        "mean": 1.9,
        "max": 31.25,
        "percentiles": {"0": 0.4, "50": 1.5, "90": 2.75, "99": 9.5, "99.9": 22.0, "99.99": 30.5, "100": 31.25},
    },
    "seconds": [{"at_s": n, "calls": 480 + n * 7 % 40, "errors": n % 5} for n in range(10)],
    "baseline": {"name": "echo", "latency_ms": {"percentiles": {"50": 1.0, "90": 2.0, "99": 5.0}}},
    "ratios": {"rate": 0.75, "50 %": 1.5},
}  # fmt: skip


@pytest.mark.parametrize("width", [1200, 375])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_says_what_the_document_says(tmp_path: Path, width: int, scheme: str) -> None:
    report = tmp_path / "bench.html"
    report.write_text(bench_page(DOCUMENT), encoding="utf-8")
    with opened(report, width, scheme) as page:
        assert_fits(page)
        names, values = (page.locator(tag).all_inner_texts() for tag in ("dt", "dd"))
        assert dict(zip(names, values, strict=True)) == {
            "calls": "5,000", "errors": "12", "calls a second": "498.8", "duration": "10.0 s",
            "mean": "1.900 ms", "longest": "31.250 ms",
        }  # fmt: skip
        rows = [each.locator("td").all_inner_texts() for each in page.locator("tbody tr").all()]
        assert ["50 %", "1.500 ms", "1.000 ms", "1.50"] in rows
        assert ["99.99 %", "30.500 ms", "", ""] in rows
        assert rows[-4:] == [
            ["rate", "0.75"], ["50 %", "1.50"], ["UNAVAILABLE", "9"], ["DEADLINE_EXCEEDED", "3"],
        ]  # fmt: skip
        curves = page.locator("polyline").evaluate_all("all => all.map(each => each.points.length)")
        assert curves == [6, 3, 10, 10]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"calls": 0, "errors": {}, "latency_ms": {"mean": None, "percentiles": {}}, "seconds": []},
        {"calls": 1, "latency_ms": {"percentiles": {"50": 0, "90": 0.0}}, "seconds": [{"at_s": 0}] * 2},
        {"method": HOSTILE, "errors": {HOSTILE: 1}, "ratios": {HOSTILE: None}, "baseline": {"name": HOSTILE}},
    ],
    ids=["nothing", "no call", "no time", "hostile"],
)  # fmt: skip
def test_little_or_odd_is_a_page_too(tmp_path: Path, document: dict[str, Any]) -> None:
    report = tmp_path / "bench.html"
    report.write_text(bench_page(document), encoding="utf-8")
    assert report.stat().st_size < 50_000
    with opened(report, 375) as page:
        assert_fits(page)
        assert page.title().startswith("paycli bench: ")
        assert page.locator("script").count() == 0
