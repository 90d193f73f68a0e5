"""`paycli smoke`: the verdict, the reports, and no server left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
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
    summary, error = wrong.stderr.splitlines()
    assert error == f"Error: {path}:2:5: unknown key 'nam' in a step; did you mean 'name'?"
    assert summary.startswith("0 passed, 0 failed, 0 skipped, 1 of the suites not run")


def reported(report: Path) -> dict[str, int]:
    root = ET.parse(report).getroot()
    return {
        name: sum(int(suite.get(name, "")) for suite in root)
        for name in ("tests", "failures", "errors", "skipped")
    }


def long_suite(tmp_path: Path) -> Path:
    return suite(tmp_path, *(f"name: step {n}, {PAY}, {GOOD}" for n in range(2_000)))


def long_run(tmp_path: Path, server: Server, report: Path) -> subprocess.Popen[str]:
    options = ["--target", server.target, "--junit", str(report)]
    return subprocess.Popen(
        [sys.executable, "-m", "paycli", "smoke", str(long_suite(tmp_path)), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_target_that_is_down_leaves_a_report(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text("of an earlier run", encoding="utf-8")
    path = suite(tmp_path, f"name: a, {PAY}, {GOOD}", f"name: b, {PAY}, {GOOD}")
    down = run_paycli("smoke", path, "--target", "localhost:1", "--junit", report)
    assert down.returncode == 3
    assert "0 passed, 0 failed, 0 skipped, 2 not run" in down.stderr
    assert reported(report) == {"tests": 2, "failures": 0, "errors": 2, "skipped": 0}


def test_a_mistake_leaves_a_report(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text("of an earlier run", encoding="utf-8")
    path = suite(tmp_path, f"name: a, {PAY}, {GOOD}, expect: {{payment_id: {{matches: '['}}}}")
    wrong = run_paycli("smoke", path, "--target", "localhost:1", "--junit", report)
    assert wrong.returncode == 2
    assert f"{path}:2:149: matches: '[' is no regular expression" in wrong.stderr
    assert reported(report)["errors"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_a_report(
    server: Server, tmp_path: Path, number: signal.Signals
) -> None:
    report = tmp_path / "junit.xml"
    report.write_text("of an earlier run", encoding="utf-8")
    with long_run(tmp_path, server, report) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("PASS")
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
    assert reported(report)["errors"] >= 1
    if number != signal.SIGKILL:
        # A call that was on its way may have paid.
        assert process.returncode == (5 if "may have been carried out" in said else 130)
        assert reported(report)["tests"] == 2_000
        assert "not run" in said


def test_a_target_that_dies_fails_the_run_and_leaves_a_report(
    server: Server, tmp_path: Path
) -> None:
    report = tmp_path / "junit.xml"
    with long_run(tmp_path, server, report) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("PASS")
        server.stop(signal.SIGKILL)
        _, said = process.communicate(timeout=40)
    assert process.returncode == 1
    counts = reported(report)
    assert (counts["tests"], counts["failures"]) == (2_000, 1)
    assert f"{counts['errors']} not run" in said


def test_kill_9_leaves_nothing_behind(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", "smoke", str(long_suite(tmp_path))],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TMPDIR": str(temporary)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"PASS")
        assert servers_of(temporary)
        process.kill()
    deadline = time.monotonic() + 20
    while servers_of(temporary) or any(temporary.iterdir()):
        assert time.monotonic() < deadline, "the server or its folder outlives its starter"
        time.sleep(0.05)


def test_all_skipped_is_not_green(server: Server, tmp_path: Path) -> None:
    path = suite(tmp_path, "name: a, call: nobody.Has/It, request: {of: whatever kind}")
    path.write_text("requires: nobody.Has\n" + path.read_text(), encoding="utf-8")
    skipped = run_paycli("smoke", path, "--target", server.target)
    assert skipped.returncode == 1
    assert "Nothing was proved" in skipped.stderr
    assert skipped.stdout.count("SKIP") == 1
    strict = run_paycli("smoke", path, "--target", server.target, "--strict")
    assert strict.returncode == 1
    assert "--strict forbids skips" in strict.stdout


def test_lists_compare_as_outside(server: Server, tmp_path: Path) -> None:
    rich = "call: paycli.payments.v1.Payments"
    create = (
        f"name: pay, {rich}/CreatePayment, request: {{order_id: '${{uuid}}', customer_id: "
        "'${uuid}', amount: {currency_code: EUR, units: 5}}"
    )
    listed = f"{rich}/ListPayments, request: {{customer_id: '${{steps.pay.customer_id}}'}}"
    path = suite(
        tmp_path,
        create,
        f"name: partial, {listed}, expect: {{payments: [{{version: 1, amount: {{units: 5}}}}]}}",
        f"name: pattern, {listed}, expect: {{payments: [{{name: {{matches: '^payments/'}}}}]}}",
        f"name: wrong, {listed}, expect: {{payments: [{{amount: {{units: 6}}}}]}}",
        f"name: too few, {listed}, expect: {{payments: []}}",
    )
    smoke = run_paycli("smoke", path, "--target", server.target, "--json")
    results = [json.loads(line) for line in smoke.stdout.splitlines()]
    assert [each["verdict"] for each in results] == ["passed"] * 3 + ["failed"] * 2
    assert "payments[0].amount.units: expected '6', got '5'" in results[3]["reason"]


def test_an_own_server_that_dies_is_named(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", "smoke", str(long_suite(tmp_path))],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("PASS")
        os.kill(int(servers_of(tmp_path)[0].split()[0]), signal.SIGKILL)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "the server for this run was ended by signal 9" in said
