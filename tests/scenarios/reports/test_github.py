"""What GitHub Actions reads of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.conftest import run_paycli

PAY = "call: payment.PaymentService/ProcessPayment"
SUITE = f"""
steps:
  - {{name: "right | <b>", {PAY}, request: {{order_id: a, amount: 5, currency: EUR}}}}
  - {{name: "100%, wrong\\n::error::x", {PAY}, request: {{order_id: b, amount: 5, currency: EUR}},
     expect: {{status: FAILED}}}}
"""


def run(folder: Path, *words: str, **env: str) -> tuple[str, str]:
    (folder / "s.yaml").write_text(SUITE)
    smoke = run_paycli("smoke", "s.yaml", *words, cwd=folder, env=env)
    assert smoke.returncode == 1, smoke.stderr
    return smoke.stdout, smoke.stderr


def test_what_failed_is_shown_beside_its_step(tmp_path: Path) -> None:
    shown, _ = run(tmp_path, GITHUB_ACTIONS="true")
    (line,) = [each for each in shown.splitlines() if each.lstrip().startswith("::")]
    properties, _, message = line.removeprefix("::error ").partition("::")
    assert properties == "file=s.yaml,line=4,title=s%3A 100%25%2C wrong%0A%3A%3Aerror%3A%3Ax"
    assert message.startswith("status: expected 'FAILED', got 'SUCCESS'%0Aagain: paycli call ")
    shown, _ = run(tmp_path, GITHUB_ACTIONS="false")
    assert not [each for each in shown.splitlines() if each.lstrip().startswith("::")]


def test_a_mistake_is_shown_in_its_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("steps:\n  - nam: x\n")
    wrong = run_paycli("smoke", path, env={"GITHUB_ACTIONS": "true"})
    assert f"::error file={path},line=2,title=paycli smoke::{path}:2:5: unknown key" in wrong.stderr


def test_with_json_stdout_stays_json(tmp_path: Path) -> None:
    shown, said = run(tmp_path, "--json", GITHUB_ACTIONS="true")
    assert [json.loads(line)["verdict"] for line in shown.splitlines()] == ["passed", "failed"]
    assert said.count("::error file=s.yaml,line=4,") == 1


def test_the_summary_of_the_workflow_gets_a_table(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("# What was there\n\n", encoding="utf-8")
    run(tmp_path, GITHUB_STEP_SUMMARY=str(path))
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# What was there\n\n### paycli smoke: 1 passed, 1 failed,")
    rows = [line for line in text.splitlines() if re.match(r"\| [✅❌]", line)]
    assert [row.count("|") for row in rows] == [5, 5]
    assert "<b>" not in text
    assert "status&#58;" not in rows[0]
    _, said = run(tmp_path, GITHUB_STEP_SUMMARY=str(tmp_path))
    assert f"Cannot add to GITHUB_STEP_SUMMARY, {tmp_path}: Is a directory." in said
