"""What suites can say of their steps: variables, saves, repetitions, retries, setup, teardown, choice."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from paycli.generated import payment_pb2
from tests.client.odd_service import never, service
from tests.conftest import Server, run_paycli

PAY = "call: payment.PaymentService/ProcessPayment"
GET = "call: paycli.payments.v1.Payments/GetPayment"


def smoke(target: str, path: Path, text: str, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the steps by name."""
    path.write_text(text, encoding="utf-8")
    run = run_paycli("smoke", path, "--target", target, "--json", *words)
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert found, run.stderr
    return run.returncode, {each["step"]: each for each in found}


def verdicts(steps: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: step["verdict"] for name, step in steps.items()}


def test_variables_and_saves_are_filled_in(server: Server, tmp_path: Path) -> None:
    text = f"""
variables: {{who: "ada-${{uuid}}", order: "o-${{who}}"}}
setup:
  - {{name: pay, {PAY}, request: {{order_id: "${{order}}", amount: 5, currency: EUR, user_id: "${{who}}"}},
     save: {{id: payment_id}}}}
steps:
  - {{name: get, {GET}, request: {{name: "payments/${{id}}"}},
     expect: {{name: "payments/${{steps.pay.payment_id}}", customer_id: {{matches: "^${{who}}$"}}}}}}
teardown:
  - {{name: void, call: paycli.payments.v1.Payments/RefundPayment, request: {{name: "payments/${{id}}", request_id: "r-${{id}}"}}}}
"""
    code, steps = smoke(server.target, tmp_path / "s.yaml", text)
    assert (code, set(verdicts(steps).values())) == (0, {"passed"}), steps


def test_a_payment_sent_many_times_at_once_is_one(server: Server, tmp_path: Path) -> None:
    request = "{order_id: o, amount: 5, currency: EUR, user_id: ada}"
    text = f"""
steps:
  - {{name: once, {PAY}, request: {request}, repeat: 20, parallel: true, same: [payment_id, status]}}
  - {{name: anew, {PAY}, request: {{order_id: "n-${{n}}", amount: "${{n}}", currency: EUR, user_id: a}},
     repeat: 3, same: [payment_id]}}
  - {{name: wrong, {PAY}, request: {{order_id: o, amount: "${{n}}", currency: EUR, user_id: ada}},
     repeat: 2, expect: {{status: FAILED}}}}
  - {{name: last, {GET}, request: {{name: "payments/${{steps.anew.payment_id}}"}},
     expect: {{order_id: n-3, amount: {{units: 3}}}}}}
"""
    code, steps = smoke(server.target, tmp_path / "s.yaml", text)
    assert code == 1
    assert verdicts(steps) == {
        "once": "passed", "anew": "failed", "wrong": "failed", "last": "passed",
    }  # fmt: skip
    assert steps["anew"]["reason"].startswith("payment_id: expected the same from all, got pay_")
    assert steps["wrong"]["reason"].startswith("#1: ")
    assert "; #2: " in steps["wrong"]["reason"]


@pytest.mark.parametrize(("successes", "verdict"), [(1, "passed"), (2, "failed")])
def test_of_several_payments_with_one_key_one_is_made(
    server: Server, tmp_path: Path, successes: int, verdict: str
) -> None:
    text = f"""
steps:
  - {{name: race, {PAY}, request: {{order_id: o, amount: "${{n}}", currency: EUR, user_id: ada}},
     repeat: 10, parallel: true, successes: {successes}, expect: {{status: SUCCESS}},
     expect_error: {{code: ALREADY_EXISTS, reason: IDEMPOTENCY_KEY_REUSED}}}}
"""
    _, steps = smoke(server.target, tmp_path / "s.yaml", text)
    assert verdicts(steps) == {"race": verdict}
    if successes == 2:
        assert steps["race"]["reason"] == "expected 2 to succeed, and 1 did"


def test_a_step_is_tried_until_it_is_as_expected(tmp_path: Path) -> None:
    seen: list[str] = []

    def answer(request: payment_pb2.PaymentRequest, _context: Any) -> Any:
        seen.append(request.order_id)
        ready = seen.count(request.order_id) >= 3
        status = "SUCCESS" if ready and request.order_id == "soon" else "FAILED"
        return payment_pb2.PaymentResponse(payment_id="p", status=status)

    text = f"""
steps:
  - {{name: soon, {PAY}, request: {{order_id: soon}}, expect: {{status: SUCCESS}},
     retry_until: {{timeout_s: 20, every_ms: 10}}}}
  - {{name: never, {PAY}, request: {{order_id: never}}, expect: {{status: SUCCESS}}, retry_until: 0.3}}
"""
    with service(answer) as target:
        code, steps = smoke(target, tmp_path / "s.yaml", text)
    assert (code, seen.count("soon")) == (1, 3)
    assert verdicts(steps) == {"soon": "passed", "never": "failed"}
    assert "still so after 0.3 s and " in steps["never"]["reason"]
    assert "status: expected 'SUCCESS', got 'FAILED'" in steps["never"]["reason"]


def test_an_answer_that_takes_too_long_is_a_failure(tmp_path: Path) -> None:
    def answer(request: payment_pb2.PaymentRequest, _context: Any) -> Any:
        if request.order_id == "slow":
            threading.Event().wait(0.3)
        return payment_pb2.PaymentResponse(payment_id="p", status="SUCCESS")

    text = f"""
steps:
  - {{name: fast, {PAY}, request: {{order_id: fast}}, within_ms: 20000}}
  - {{name: slow, {PAY}, request: {{order_id: slow}}, within_ms: 250.5}}
"""
    with service(answer) as target:
        _, steps = smoke(target, tmp_path / "s.yaml", text)
    assert verdicts(steps) == {"fast": "passed", "slow": "failed"}
    assert "expected an answer within 250.5 ms, got it after " in steps["slow"]["reason"]


FAILING = f"""
tags: [money]
setup:
  - {{name: first, {PAY}, request: {{order_id: a, amount: 1, currency: EUR}}, expect: {{status: %s}}}}
  - {{name: second, {PAY}, request: {{order_id: b, amount: 1, currency: EUR}}}}
steps:
  - {{name: one, {PAY}, request: {{order_id: c, amount: 1, currency: EUR}}, expect: {{status: FAILED}}}}
  - {{name: two, {PAY}, tags: [late], request: {{order_id: "d-${{steps.one.payment_id}}", amount: 1, currency: EUR}}}}
  - {{name: three, {PAY}, request: {{order_id: e, amount: 1, currency: EUR}}}}
teardown:
  - {{name: last, {PAY}, request: {{order_id: f, amount: 1, currency: EUR}}}}
"""


@pytest.mark.parametrize(
    ("setup", "words", "ended"),
    [
        ("SUCCESS", (), ("passed", "passed", "failed", "passed", "passed", "passed")),
        ("FAILED", (), ("failed", "error", "error", "error", "error", "passed")),
        ("SUCCESS", ("--fail-fast",), ("passed", "passed", "failed", "error", "error", "passed")),
        ("FAILED", ("--fail-fast",), ("failed", "error", "error", "error", "error", "passed")),
        # What a chosen step needs comes with it.
        ("SUCCESS", ("-k", "late"), ("passed", "passed", "failed", "passed", None, "passed")),
        ("SUCCESS", ("-k", "THREE"), ("passed", "passed", None, None, "passed", "passed")),
        ("SUCCESS", ("-k", "money"), ("passed", "passed", "failed", "passed", "passed", "passed")),
    ],
)
def test_setup_and_teardown_and_choice(
    server: Server,
    tmp_path: Path,
    setup: str,
    words: tuple[str, ...],
    ended: tuple[str | None, ...],
) -> None:
    _, steps = smoke(server.target, tmp_path / "s.yaml", FAILING % setup, *words)
    names = ("first", "second", "one", "two", "three", "last")
    assert tuple(steps[name]["verdict"] if name in steps else None for name in names) == ended


def test_the_teardown_runs_after_an_interrupt(tmp_path: Path) -> None:
    seen: list[str] = []
    arrived = threading.Event()

    def answer(request: payment_pb2.PaymentRequest, context: Any) -> Any:
        seen.append(request.order_id)
        if request.order_id == "hang":
            arrived.set()
            never(request, context)
        return payment_pb2.PaymentResponse(payment_id="p", status="SUCCESS")

    path = tmp_path / "s.yaml"
    path.write_text(
        f"steps:\n- {{name: a, {PAY}, request: {{order_id: hang}}, repeat: 3, parallel: true}}\n"
        f"- {{name: b, {PAY}, request: {{order_id: b}}}}\n"
        f"teardown:\n- {{name: c, {PAY}, request: {{order_id: last}}}}\n"
    )
    with (
        service(answer) as target,
        subprocess.Popen(
            [sys.executable, "-m", "paycli", "smoke", str(path), "--target", target],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as running,
    ):  # fmt: skip
        assert arrived.wait(20)
        running.send_signal(signal.SIGINT)
        shown, said = running.communicate(timeout=20)
    assert running.returncode == 5
    assert seen.count("last") == 1
    assert "b" not in seen
    assert "Interrupted before all calls of step 'a' had an answer" in said
    assert [line[:4] for line in shown.splitlines() if line.endswith("s: c")] == ["PASS"]


def test_a_failed_step_says_how_to_make_its_call_again(server: Server, tmp_path: Path) -> None:
    text = f"""
steps:
  - {{name: pay, {PAY}, request: {{order_id: "it's", amount: 12.5, currency: EUR, user_id: ada}}, save: {{id: payment_id}}}}
  - {{name: get, {GET}, request: {{name: "payments/${{id}}"}}, expect: {{order_id: other}},
     metadata: {{x-note: a b, x-api-token: tell-nobody}}}}
"""
    _, steps = smoke(server.target, tmp_path / "s.yaml", text, "--junit", str(tmp_path / "j.xml"))
    assert steps["pay"]["again"] is None
    again = steps["get"]["again"]
    assert f"--target {server.target}" in again
    assert "tell-nobody" not in again + (tmp_path / "j.xml").read_text()
    run = run_paycli(*shlex.split(again)[1:])
    assert json.loads(run.stdout)["order_id"] == "it's", run.stderr
    shown = run_paycli("smoke", tmp_path / "s.yaml")
    (line,) = [each for each in shown.stdout.splitlines() if "again: " in each]
    assert "--target" not in line


SERVICER = """
import payment_pb2, payment_pb2_grpc

class PaymentServiceImpl(payment_pb2_grpc.PaymentServiceServicer):
    def ProcessPayment(self, request, context):
        if request.order_id == "die":
            import os
            print("there I go", flush=True)
            os._exit(7)
        return payment_pb2.PaymentResponse(payment_id="12345", status="SUCCESS")
"""


def test_servicers_of_ones_own_are_proved(tmp_path: Path) -> None:
    proto = Path(__file__).parents[2] / "proto"
    line = ["-m", "grpc_tools.protoc", f"-I{proto}", "--python_out=.", "--grpc_python_out=."]
    subprocess.run([sys.executable, *line, "payment.proto"], cwd=tmp_path, check=True)
    (tmp_path / "payment_service.py").write_text(SERVICER)
    words = ("smoke", "--serve", "payment_service:PaymentServiceImpl")
    proved = run_paycli(*words, cwd=tmp_path)
    assert (proved.returncode, proved.stdout.count("PASS")) == (0, 5), proved.stderr
    assert "SKIP" in proved.stdout
    path = tmp_path / "s.yaml"
    path.write_text(f"steps: [{{name: a, {PAY}, request: {{order_id: die}}}}]\n")
    died = run_paycli(*words, path, cwd=tmp_path)
    assert died.returncode == 1
    assert "ended with exit code 7; it said last: there I go" in died.stdout
    gone = run_paycli("smoke", "--serve", "nothing:Here", cwd=tmp_path)
    assert gone.returncode == 1
    assert "The server for this run did not start: " in gone.stderr
    assert "nothing" in gone.stderr


def test_a_store_of_ones_own_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        f"steps: [{{name: a, {PAY}, request: {{order_id: o, amount: 5, currency: EUR}}}}]\n"
    )
    store = f"sqlite:///{tmp_path}/kept.db"
    assert run_paycli("smoke", path, "--store", store).returncode == 0
    assert run_paycli("db", "verify", "--store", store).returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--serve", "a:B", "--target", "localhost:1"), "--serve: that is for a server of its own"),
        (("--serve", "a:B", "--store", "sqlite:///x.db"), "servicers of yours keep their own"),
    ],
)
def test_what_is_not_for_this_server_is_refused(words: tuple[str, ...], said: str) -> None:
    refused = run_paycli("smoke", *words)
    assert refused.returncode == 2
    assert said in refused.stderr


def test_the_steps_are_listed_without_a_server(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(FAILING % "SUCCESS")
    listed = run_paycli("smoke", path, "--list", "-k", "late")
    assert listed.stdout.splitlines() == [
        "s: first  [money]", "s: second  [money]", "s: one  [money]", "s: two  [late, money]",
        "s: last  [money]",
    ]  # fmt: skip
    none = run_paycli("smoke", path, "-k", "nothing")
    assert none.returncode == 2
    assert "-k nothing: no step and no tag is called so" in none.stderr


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("repeat: 0", "repeat: '0' is not a number from 1 to 10,000"),
        ("repeat: 2, parallel: maybe", "parallel must be true or false"),
        ("parallel: true", "parallel is for a step with 'repeat'"),
        ("same: [status]", "same is for a step with 'repeat'"),
        ("repeat: 2, same: [statuss]", "has no 'statuss'"),
        ("repeat: 2, successes: 1", "successes needs 'expect_error'"),
        ("successes: 1, expect_error: {code: ABORTED}", "successes is for a step with 'repeat'"),
        ("within_ms: 0", "within_ms: '0' is no number above 0"),
        ("within_ms: -5", "is no number above 0"),
        ("retry_until: {every_ms: 5}", "retry_until needs timeout_s"),
        ("retry_until: soon", "'soon' is no number"),
        ("save: {1: status}", "'1' is no name"),
        ("save: {n: status}", "there is a 'n' already"),
        ("save: {who: status}", "there is a 'who' already"),
        ("save: {x: nothing}", "has no 'nothing'"),
        ("save: {x: status}, expect_error: {code: ABORTED}", "this step expects an error"),
        ("tags: [a b]", "'a b' is no tag"),
        ("tags: a", "tags must be a list"),
        ("request: {order_id: '${nobody}'}", "nothing fills ${nobody}"),
        ("request: {order_id: '${n}'}", "nothing fills ${n}"),
    ],
)
def test_a_mistake_in_a_step_is_named(tmp_path: Path, step: str, said: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"variables: {{who: ada}}\nsteps: [{{name: a, {PAY}, {step}}}]\n")
    run = run_paycli("smoke", path, "--target", "localhost:1")
    assert run.returncode == 2
    assert said in run.stderr
    assert f"{path}:2:" in run.stderr
