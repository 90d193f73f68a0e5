"""Suites are checked whole before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from paycli.errors import DocumentError
from paycli.scenarios.locate import suite_paths
from paycli.scenarios.suite import read_suite

PAY = "call: payment.PaymentService/ProcessPayment"
WATCH = "call: paycli.payments.v1.Payments/WatchEvents"


def stream(expected: str) -> str:
    return f"steps: [{{name: a, {WATCH}, expect_stream: {{{expected}}}}}]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("step: []\n", "did you mean 'steps'"),
        ("requires: x\n", "needs 'steps:'"),
        ("steps: []\n", "steps is empty"),
        (f"steps: [{{{PAY}}}]\n", "name is missing"),
        ("steps: [{name: a}]\n", "either 'call' or 'fixture'"),
        ("steps: [{name: a.b, fixture: x}]\n", "is no name"),
        ("steps: [{name: a, call: payment.PaymentService}]\n", "write package.Service/Method"),
        ("steps: [{name: a, call: no.Such/Thing}]\n", "no known service"),
        ("steps: [{name: a, call: payment.PaymentService/Pay}]\n", "it has ProcessPayment"),
        (f"steps: [{{name: a, {PAY}, request: {{amont: 1}}}}]\n", "has no field 'amont'"),
        (f"steps: [{{name: a, {PAY}, request: {{order_id: [1]}}}}]\n", "order_id"),
        (
            f"steps: [{{name: a, {PAY}, expect: {{}}, expect_error: {{}}}}]\n",
            "expect or expect_error, not both",
        ),
        (f"steps: [{{name: a, {PAY}, expect_error: {{code: BAD}}}}]\n", "needs a code"),
        (f"steps: [{{name: a, {PAY}}}, {{name: a, {PAY}}}]\n", "two steps are called 'a'"),
        (
            f"steps: [{{name: a, {PAY}, request: {{order_id: '${{steps.b.payment_id}}'}}}}]\n",
            "names no",
        ),
        (f"steps: [{{name: a, {PAY}, request: {{order_id: '${{env:NOT_SET}}'}}}}]\n", "is not set"),
        ("steps: [{name: a, fixture: none.yaml}]\n", "s.yaml:1:28: fixture: "),
        ("steps: [{name: a, fixture: none.yaml}]\n", "none.yaml: no such file"),
        (f"steps: [{{name: a, {PAY}, expect: {{statuss: null}}}}]\n", "did you mean 'status'"),
        (f"steps: [{{name: a, {PAY}, expect: {{status: null}}}}]\n", "is never null"),
        (f"steps: [{{name: a, {PAY}, expect: {{status: {{match: x}}}}}}]\n", "'matches'"),
        (
            f"steps: [{{name: a, {PAY}, expect: {{status: {{matches: '['}}}}}}]\n",
            "s.yaml:1:91: matc",
        ),
        (
            f"steps: [{{name: a, {PAY}, expect_error: {{code: NOT_FOUND, message: '('}}}}]\n",
            "is no regular expression",
        ),
        (f"requires: payment.Paymnt\nsteps: [{{name: a, {PAY}}}]\n", "no known service"),
        ("steps: [{name: a, fixture: x, expect: {}}]\n", "has no 'expect'"),
        (f"steps: [{{name: a, {WATCH}, expect: {{}}}}]\n", "write 'expect_stream'"),
        (f"steps: [{{name: a, {WATCH}, requests: [{{}}]}}]\n", "write 'request'"),
        (f"steps: [{{name: a, {PAY}, expect_stream: {{}}}}]\n", "write 'expect'"),
        (stream("then: stop"), "neither 'end'"),
        (stream("then: cancel"), "after 'count' messages"),
        (stream("then: cancel, count: 1, messages: [{}, {}]"), "at least those that are listed"),
        (stream("count: {gte: x}"), "s.yaml:1:"),
        (stream("messages: [{sequense: 1}]"), "did you mean 'sequence'"),
        (
            stream("then: cancel, count: 1}, expect_error: {code: INTERNAL"),
            "may lose its last messages",
        ),
        (f"steps: [{{name: a, {PAY}, skip_unless: {{}}}}]\n", "service, env, step"),
        (f"steps: [{{name: a, {PAY}, skip_unless: {{step: a}}}}]\n", "no earlier step"),
        (f"skip_unless: {{step: a}}\nsteps: [{{name: a, {PAY}}}]\n", "unknown key 'step'"),
        ("steps: [{name: a, call: of.Somebody/Else}]\n", "name its protos with -I"),
    ],
)
def test_a_mistake_is_found_before_anything_is_sent(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError) as mistake:
        read_suite(path)
    assert said in str(mistake.value)


def test_a_reference_to_a_field_that_the_response_lacks_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    wrong = "request: {order_id: '${steps.a.id}'}"
    path.write_text(f"steps:\n- {{name: a, {PAY}}}\n- {{name: b, {PAY}, {wrong}}}\n")
    with pytest.raises(DocumentError, match="has no 'id'; it has payment_id, status"):
        read_suite(path)


def test_the_shipped_suites_are_right(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # a folder without suites of its own gets the shipped ones
    suites = [read_suite(path) for path in suite_paths()]
    assert sum(len(suite.steps) for suite in suites) > 10
