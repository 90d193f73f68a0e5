"""The pytest plugin, in a project that uses it: a service for its tests, and suites as tests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_smoke import servers_of
from tests.conftest import Server

PAY = "call: payment.PaymentService/ProcessPayment"
REQUEST = "{order_id: o, amount: 5, currency: EUR, user_id: ada}"
SUITE = f"""
tags: [checkout]
steps:
  - {{name: pays, {PAY}, request: {REQUEST}, expect: {{status: SUCCESS}}}}
  - {{name: again, {PAY}, request: {REQUEST}, expect: {{payment_id: "${{steps.pays.payment_id}}"}}}}
  - {{name: hopes, {PAY}, request: {REQUEST}, expect: {{status: FAILED}}, tags: [hope]}}
  - {{name: elsewhere, skip_unless: {{env: NOT_THERE}}, {PAY}, request: {REQUEST}}}
"""
TESTS = """
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from google.type.money_pb2 import Money

def test_pays(payments_stub, paycli_server):
    request = pb.CreatePaymentRequest(request_id="r", amount=Money(currency_code="EUR", units=5))
    assert payments_stub.CreatePayment(request).name.startswith("payments/")
    assert paycli_server.target.startswith("localhost:")
"""


def run_pytest(folder: Path, *words: str) -> tuple[int, str]:
    plugin = ("-p", "no:cacheprovider", "-p", "no:xdist")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "--rootdir", folder, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr


def test_a_service_and_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "shop.suite.yaml").write_text(SUITE)
    (tmp_path / "other.yaml").write_text("what: ever")
    code, told = run_pytest(tmp_path, "-v")
    assert code == 1
    assert re.search("1 failed, 3 passed, 1 skipped in", told), told
    assert "shop.suite.yaml::again PASSED" in told
    assert "shop.suite.yaml:6: status: expected 'FAILED', got 'SUCCESS'" in told
    assert "again: paycli call payment.PaymentService/ProcessPayment" in told
    assert "Traceback" not in told
    assert not servers_of(tmp_path)
    assert not list(tmp_path.glob("paycli-*"))
    code, told = run_pytest(tmp_path, "-k", "hope", "-q")
    assert (code, "1 failed, 4 deselected" in told) == (1, True), told
    code, told = run_pytest(tmp_path, "-q", "--collect-only")
    assert code == 0
    assert "5 tests collected" in told


def test_a_target_and_a_mistake(server: Server, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    target = f"--paycli-target={server.target}"
    code, told = run_pytest(tmp_path, target)
    assert code == 0, told
    (tmp_path / "named.yaml").write_text(SUITE.replace("expect:", "exspect:", 1))
    code, told = run_pytest(tmp_path, target, "named.yaml")
    assert code == 2
    assert "named.yaml:4:" in told
    assert "did you mean 'expect'?" in told
    (tmp_path / "named.yaml").write_text(SUITE)
    code, told = run_pytest(tmp_path, "--paycli-target=localhost:1", "named.yaml")
    assert code == 1
    # The summary is a list of its own, which repeats reasons in full where CI is set.
    failures, _, _ = told.partition("short test summary info")
    assert failures.count("nothing listens there") == 4, told


def test_it_costs_a_run_without_payments_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_it():\n    assert not {'grpc', 'google.protobuf', 'yaml', 'typer'} & set(sys.modules)\n"
    )
    code, told = run_pytest(tmp_path)
    assert code == 0, told
