"""Suites against servers that answer what no step can prove."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.timestamp_pb2 import Timestamp

from tests.cli.test_call_odd import tell
from tests.cli.test_smoke_steps import smoke, verdicts
from tests.client.odd_reflection import Tell, echo, telling
from tests.conftest import run_paycli

__all__ = ["tell"]  # the fixture


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


ANSWERS = {
    b"none": b"\xff",
    b"time": _field(12, Timestamp(seconds=10**14).SerializeToString()),
    b"kind": _field(10, Any(type_url="x/nobody.Knows", value=b"a").SerializeToString()),
}


def _odd(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    for request in requests:
        yield ANSWERS.get(request[2:], request)
        if request[2:] == b"half":
            context.abort(grpc.StatusCode.ABORTED, "after one message")


def test_what_is_no_message_passes_no_step(tell: Tell, tmp_path: Path) -> None:
    refused = "expect_error: {code: INTERNAL}"
    suite = f"""
steps:
  - {{name: none, call: odd.Odd/Say, request: {{text: none}}}}
  - {{name: refused, call: odd.Odd/Say, request: {{text: none}}, {refused}}}
  - {{name: stream, call: odd.Odd/Talk, requests: [{{text: none}}], {refused}}}
  - {{name: time, call: odd.Odd/Say, request: {{text: time}}}}
  - {{name: kind, call: odd.Odd/Say, request: {{text: kind}}}}
  - {{name: asked, call: odd.Odd/Say, expect: {{i: 2}},
     request: {{any: {{"@type": type.googleapis.com/odd.Ask, i: 1}}}}}}
  - {{name: after it, call: odd.Odd/Say}}
"""
    with telling(tell, {"Say": _odd, "Talk": _odd}) as target:
        code, steps = smoke(target, tmp_path / "s.yaml", suite)
    assert code == 1
    failed = {name for name, verdict in verdicts(steps).items() if verdict == "failed"}
    assert failed == {"none", "refused", "stream", "time", "kind", "asked"}, steps
    assert steps["refused"]["reason"] == steps["none"]["reason"] == "the response is no odd.Ask"
    assert "cannot be shown as JSON: Failed to serialize t field" in steps["time"]["reason"]
    assert "type.googleapis.com/odd.Ask" in steps["asked"]["again"]


def test_a_stream_that_was_refused_is_no_success(tell: Tell, tmp_path: Path) -> None:
    refused = "expect_error: {code: ABORTED}, successes: 2"
    suite = f"""
steps:
  - {{name: refused, call: odd.Odd/Talk, requests: [{{text: half}}], repeat: 2, {refused}}}
  - {{name: empty, call: odd.Odd/Talk, requests: [], repeat: 2, {refused}}}
"""
    with telling(tell, {"Talk": _odd}) as target:
        _, steps = smoke(target, tmp_path / "s.yaml", suite)
    assert verdicts(steps) == {"refused": "failed", "empty": "passed"}
    assert steps["refused"]["reason"] == "expected 2 to succeed, and 0 did"


def test_exactly_knows_the_keys_of_maps(tell: Tell, tmp_path: Path) -> None:
    suite = """
steps:
  - {name: more, call: odd.Odd/Say, request: {mb: {true: a, false: b}}, expect_exactly: {mb: {true: a}}}
  - {name: free, call: odd.Odd/Say, request: {s: {a: 1, b: 2}}, expect_exactly: {s: {a: 1}}}
  - {name: all, call: odd.Odd/Say, request: {mb: {true: a}, s: {a: 1}},
     expect_exactly: {mb: {true: a}, s: {a: 1}}}
"""
    with telling(tell, {"Say": echo}) as target:
        _, steps = smoke(target, tmp_path / "s.yaml", suite)
    assert verdicts(steps) == {"more": "failed", "free": "failed", "all": "passed"}
    assert steps["more"]["reason"] == "mb.false: expected not to be set, got 'b'"
    assert steps["free"]["reason"] == "s.b: expected not to be set, got 2.0"


@pytest.mark.parametrize(
    "step",
    [
        "request: {b: 'AA!A'}",
        "expect: {b: '!'}",  # which is no way to say that nothing is there
        'request: {any: {"@type": 5}}',
    ],
)
def test_what_protobuf_reads_as_something_else_is_a_mistake(
    tell: Tell, tmp_path: Path, step: str
) -> None:
    suite = tmp_path / "s.yaml"
    suite.write_text(f"steps:\n  - {{name: odd, call: odd.Odd/Say, {step}}}\n")
    with telling(tell, {"Say": echo}) as target:
        run = run_paycli("smoke", suite, "--target", target)
    assert (run.returncode, run.stdout) == (2, "")
    assert "s.yaml:2:" in run.stderr
