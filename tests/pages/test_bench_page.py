"""The page of a bench, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paycli.pages.bench_page import bench_page
from tests.browsers import SCHEMES, assert_fits, opened

HOSTILE = "<script>document.title = 'taken'</script>\u202e\x00" + "w" * 4_000_000
SPREAD = {"min": 0.5, "median": 0.75, "max": 1234.5}
DOCUMENT: dict[str, Any] = {
    "format": "paycli-bench/1",
    "started_at": "2026-01-31T12:00:00Z",
    "is_interrupted": True,
    "config": {
        "target": "localhost:50051", "is_own_server": False, "rate": 500.0, "concurrency": None,
        "method": "payment.PaymentService/ProcessPayment", "payments_per_call": 1, "why_grpcio": "TLS",
    },
    "seconds": 10.0,
    "calls": 5_012, "ok": 5_000, "errors": 12,
    "statuses": {"OK": 5_000, "UNAVAILABLE": 9, "DEADLINE_EXCEEDED": 3},
    "rate": 498.75,
    "latency_ms": {"p50": 1.5, "p90": 2.75, "p99": 9.5, "p99.9": 22.0, "max": 31.25, "mean": 1.9},
    "histogram": [
        {"up_to_ms": 0.4, "count": 500}, {"up_to_ms": 1.5, "count": 2_000}, {"up_to_ms": 2.75, "count": 2_000},
        {"up_to_ms": 9.5, "count": 450}, {"up_to_ms": 22.0, "count": 45}, {"up_to_ms": 31.25, "count": 5},
    ],
    "slices": [
        {"at_s": n, "seconds": 1.0, "ok": 500, "errors": n % 5, "rate": 480 + n * 7 % 40,
         "p50_ms": 1.5, "p99_ms": 9.0 + n if n != 4 else None}
        for n in range(10)
    ],
    "generators": {"cpu_shares": [0.5, 0.25], "late_p99_ms": 0.75, "is_limit": True, "why": "no processor left"},
    "baseline": dict.fromkeys(("echo_rate", "fsync_rate", "rate_to_echo", "rate_to_fsync"), SPREAD),
    "growth": [{"stored": 1_000_000, "rate": 450.0, "p99_ms": 10.0, "ratio": 0.9}],
    "machine": {"processors": 2},
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
            "calls": "5,012", "errors": "12", "succeeded a second": "498.8", "duration": "10.0 s",
            "half within": "1.500 ms", "99 % within": "9.500 ms",
        }  # fmt: skip
        rows = [each.locator("td").all_inner_texts() for each in page.locator("tbody tr").all()]
        assert rows[:6] == [
            [name, f"{value:.3f} ms"] for name, value in DOCUMENT["latency_ms"].items()
        ]
        assert ["calls / calls of an echo", "0.500", "0.750", "1,234.500"] in rows
        assert ["1,000,000", "450.0", "10.000 ms", "0.90"] in rows
        assert rows[-7:] == [
            ["OK", "5,000"], ["UNAVAILABLE", "9"], ["DEADLINE_EXCEEDED", "3"], ["process 1", "50%"],
            ["process 2", "25%"], ["99 % of calls sent late by up to", "0.750 ms"], ["processors", "2"],
        ]  # fmt: skip
        curves = page.locator("polyline").evaluate_all("all => all.map(each => each.points.length)")
        assert curves == [6, 10, 10, 10, 9]
        warnings = page.locator(".warning").all_inner_texts()
        assert [each.split(":")[0].split(";")[0] for each in warnings] == [
            "The run was interrupted",
            "The generators were the limit",
            "Sent with grpcio, which costs more",
        ]


def test_the_curve_has_each_nine_where_its_mark_is(tmp_path: Path) -> None:
    report = tmp_path / "bench.html"
    counts = ((1.0, 90), (2.0, 9), (4.0, 1))
    buckets = [{"up_to_ms": took, "count": count} for took, count in counts]
    report.write_text(bench_page({"histogram": buckets}), encoding="utf-8")
    with opened(report) as page:
        # Above 90 % it is 2 ms, above 99 % 4 ms; of 1,000 across and 200 down.
        assert (
            page.locator("polyline").get_attribute("points") == "0.0,150.0 500.0,100.0 1000.0,0.0"
        )
        assert page.get_by_text("90 %", exact=True).get_attribute("x") == "50.00%"


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"calls": 0, "latency_ms": {"p50": None}, "histogram": [], "slices": [], "baseline": None},
        {"histogram": [{"up_to_ms": 0.0, "count": 1}], "slices": DOCUMENT["slices"][:1]},
        {
            "config": {"method": HOSTILE, "target": HOSTILE, "why_grpcio": HOSTILE},
            "statuses": {HOSTILE: 1},
            "machine": {HOSTILE: HOSTILE},
            "generators": {"is_limit": True, "why": HOSTILE},
        },
    ],
    ids=["nothing", "no call", "one call", "hostile"],
)
def test_little_or_odd_is_a_page_too(tmp_path: Path, document: dict[str, Any]) -> None:
    report = tmp_path / "bench.html"
    report.write_text(bench_page(document), encoding="utf-8")
    assert report.stat().st_size < 50_000
    with opened(report, 375) as page:
        assert_fits(page)
        assert page.title().startswith("paycli bench: ")
        assert page.locator("script").count() == 0
