"""The page of a run, in a real browser."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from paycli.scenarios.problems import Problem
from paycli.scenarios.record import Run, StepResult, Verdict
from paycli.scenarios.reports.page import smoke_page
from tests.browsers import SCHEMES, assert_fits, opened
from tests.conftest import run_paycli

PAY = "call: payment.PaymentService/ProcessPayment"
SUITE = f"""
steps:
  - {{name: broken, {PAY}, request: {{amount: 5}}}}
  - {{name: right, {PAY}, request: {{order_id: a, amount: 5, currency: EUR}}}}
  - {{name: wrong, {PAY}, request: {{order_id: b, amount: 5, currency: EUR}},
     expect: {{status: FAILED, payment_id: {{matches: ^x}}}}}}
  - {{name: after it, {PAY}, request: {{order_id: "c-${{steps.broken.payment_id}}", amount: 5}}}}
"""
HOSTILE = (
    "<script>document.title = 'taken'</script> ]]> \"'&amp; \u202eabc\x00\x1b[31m \ud800 "
    + "w" * 400
)


@pytest.mark.parametrize("width", [1200, 375])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_says_what_the_json_of_the_run_says(tmp_path: Path, width: int, scheme: str) -> None:
    suite, report = tmp_path / "s.yaml", tmp_path / "out" / "report.html"
    suite.write_text(SUITE)
    run = run_paycli("smoke", suite, "--json", "--report", report)
    assert run.returncode == 1, run.stderr
    steps = [json.loads(line) for line in run.stdout.splitlines()]
    assert [each["verdict"] for each in steps] == ["failed", "passed", "failed", "error"]
    assert "order_id=b" in "".join(steps[2]["log"])
    with opened(report, width, scheme) as page:
        assert_fits(page)
        names, values = (page.locator(tag).all_inner_texts() for tag in ("dt", "dd"))
        told = dict(zip(names, values, strict=True))
        assert {name: told[name] for name in ("passed", "failed", "skipped", "not run")} == {
            "passed": "1", "failed": "2", "skipped": "0", "not run": "1",
        }  # fmt: skip
        for number, step in enumerate(steps, 1):
            row = page.locator(f"#step-{number}")
            assert step["verdict"] in str(row.get_attribute("class"))
            cells = row.locator("td").all_text_contents()
            assert cells[1] == f"s: {step['step']}{step['where']}"
            assert cells[2:] == [
                f"{step['began_ms'] / 1000:.3f} s",
                f"{step['duration_ms']:.1f} ms",
            ]
            assert page.locator(f"svg a[href='#step-{number}'] rect").count() == 1
        wrong = page.locator("li a")
        assert wrong.all_inner_texts() == ["s: broken", "s: wrong", "s: after it"]
        assert [each.get_attribute("href") for each in wrong.all()] == [
            "#step-1",
            "#step-3",
            "#step-4",
        ]
        detail = page.locator("#step-3 + tr")
        problems = detail.locator(".problem").all()
        for problem, said in zip(problems, steps[2]["problems"], strict=True):
            path, expected, got = problem.locator("code").all_inner_texts()
            assert path == said["path"]
            assert said["message"] == f"{path}: expected {expected}, got {got}"
        assert detail.locator(".again").inner_text() == steps[2]["again"]
        log = detail.locator(".log").inner_text()
        assert log.splitlines() == steps[2]["log"]


@pytest.mark.parametrize("width", [1200, 375])
def test_no_text_is_more_than_text(tmp_path: Path, width: int) -> None:
    many = [
        Problem(f"{HOSTILE}[{n}]", "x" * 4_000_000, "x" * 3_999_999 + HOSTILE) for n in range(3)
    ]
    log = (HOSTILE,) * 10
    step = StepResult(HOSTILE, HOSTILE, f"{HOSTILE}:1", Verdict.PASSED, 0.5, log=log, started_s=1.0)
    failed = step.failed([*many, HOSTILE, *["y" * 4_000_000] * 30], HOSTILE)
    left = StepResult(HOSTILE, HOSTILE, f"{HOSTILE}:1", Verdict.ERROR, 0, HOSTILE)
    report = tmp_path / "report.html"
    run = Run(HOSTILE, datetime.now(UTC), 1.0, [failed, left])
    report.write_text(smoke_page(run), encoding="utf-8")
    assert report.stat().st_size < 500_000
    with opened(report, width) as page:
        assert_fits(page)
        assert page.locator("script").count() == 0
        assert page.title() == "paycli smoke: 2 steps, 2 of them not as expected"
        shown = page.locator("#step-1").inner_text()
        assert "<script>document.title = 'taken'</script> ]]> \"'&amp; \\u202eabc\\x00" in shown
        said = page.locator("#step-1 + tr").inner_text()
        assert "more characters" in said
        assert "and 14 more" in said


def test_a_run_in_which_nothing_began_has_a_page_too(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    suite = tmp_path / "s.yaml"
    suite.write_text("steps:\n  - nam: x\n")
    assert run_paycli("smoke", suite, "--report", report).returncode == 2
    with opened(report) as page:
        assert page.locator("tbody tr").count() == 2
        assert "unknown key 'nam'" in page.inner_text("main")
