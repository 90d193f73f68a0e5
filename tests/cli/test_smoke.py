"""`paycli smoke`: the verdict, the reports, and no server left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.conftest import Server, run_paycli

PAY = "call: payment.PaymentService/ProcessPayment"
GOOD = "request: {order_id: '${uuid}', amount: 5, currency: EUR}"


def suite(tmp_path: Path, *steps: str) -> Path:
    path = tmp_path / "suite.yaml"
    path.write_text("steps:\n" + "".join(f"  - {{{step}}}\n" for step in steps), encoding="utf-8")
    return path


def servers_of(folder: Path) -> list[str]:
    """The servers with a store in the folder; there may be others on this machine."""
    listed = subprocess.run(["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True)
    wanted = f"--store sqlite:///{folder}/"
    return [line for line in listed.stdout.splitlines() if wanted in line]


def test_without_a_target_it_brings_its_own_server_and_leaves_nothing(tmp_path: Path) -> None:
    report = tmp_path / "out" / "junit.xml"
    smoke = run_paycli("smoke", "--junit", report, cwd=tmp_path, env={"TMPDIR": str(tmp_path)})
    assert smoke.returncode == 0, smoke.stdout
    assert "0 failed, 0 skipped" in smoke.stderr
    assert not servers_of(tmp_path)
    cases = ET.parse(report).getroot().findall("testsuite/testcase")
    assert len(cases) == smoke.stdout.count("PASS") > 10
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_expectation_fails_the_run_and_names_it(server: Server, tmp_path: Path) -> None:
    path = suite(
        tmp_path,
        f"name: wrong status, {PAY}, {GOOD}, expect: {{status: FAILED}}",
        f"name: an error that does not come, {PAY}, {GOOD}, expect_error: {{code: NOT_FOUND}}",
        f"name: an error that was not expected, {PAY}, request: {{amount: 5}}",
        f"name: another reason, {PAY}, request: {{amount: 5, order_id: o, currency: XXX}}, "
        "expect_error: {code: INVALID_ARGUMENT, reason: AMOUNT_NOT_FINITE}",
        f"name: right, {PAY}, {GOOD}, expect: {{status: SUCCESS}}",
    )
    report = tmp_path / "junit.xml"
    smoke = run_paycli("smoke", path, "--target", server.target, "--json", "--junit", report)
    results = [json.loads(line) for line in smoke.stdout.splitlines()]
    assert smoke.returncode == 1
    assert [result["verdict"] for result in results] == ["failed"] * 4 + ["passed"]
    assert "status: expected 'FAILED', got 'SUCCESS'" in results[0]["reason"]
    assert "the call succeeded" in results[1]["reason"]
    assert "INVALID_ARGUMENT" in results[2]["reason"]
    assert "expected AMOUNT_NOT_FINITE, got CURRENCY_UNKNOWN" in results[3]["reason"]
    assert results[0]["where"] == f"{path}:2"
    root = ET.parse(report).getroot()
    assert (root.get("tests"), root.get("failures")) == ("5", "4")
    assert server.process.poll() is None


def test_a_step_that_needs_a_failed_step_is_not_sent(server: Server, tmp_path: Path) -> None:
    path = suite(
        tmp_path,
        f"name: a, {PAY}, request: {{amount: 5}}",
        f"name: b, {PAY}, request: {{order_id: '${{steps.a.payment_id}}', amount: 5}}",
    )
    smoke = run_paycli("smoke", path, "--target", server.target)
    assert smoke.returncode == 1
    assert "not sent: step 'a' has no response" in smoke.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("stage", ["starting", "running"])
def test_no_signal_leaves_the_own_server_behind(
    tmp_path: Path, number: signal.Signals, stage: str
) -> None:
    steps = [f"name: step {n}, {PAY}, {GOOD}" for n in range(2_000)]
    path = suite(tmp_path, *steps)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", "smoke", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TMPDIR": str(temporary)},
    ) as process:
        assert process.stdout is not None
        if stage == "running":
            assert process.stdout.readline().startswith(b"PASS")
        while not servers_of(temporary):
            assert process.poll() is None
        process.send_signal(number)
        process.stdout.close()
        assert process.wait(20) == 130
    assert not servers_of(temporary)
    assert not list(temporary.iterdir())


def test_modules_in_the_users_folder_are_not_taken_for_ours(tmp_path: Path) -> None:
    for name in ("random", "typing", "queue"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')\n")
    program = "import sys; from paycli.cli.app import main; sys.argv[1:] = ['smoke']; main()"
    smoke = subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert smoke.returncode == 0, smoke.stderr


def test_a_target_that_is_not_there_exits_3() -> None:
    assert run_paycli("smoke", "--target", "localhost:1").returncode == 3


def test_a_wrong_suite_exits_2_before_a_server_is_started(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("steps:\n  - nam: x\n", encoding="utf-8")
    wrong = run_paycli("smoke", path)
    assert wrong.returncode == 2
    assert wrong.stderr == f"Error: {path}:2: unknown key 'nam' in a step; did you mean 'name'?\n"
