"""`paycli call` and `describe`: any method of any server, by what is told of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from tests.client import odd_service
from tests.conftest import Server, run_paycli
from tests.host.test_servicers import project, serving

__all__ = ["project"]  # the fixture

PROTO = """syntax = "proto3";
package payment;
// Another one than ours, under the same names.
service PaymentService {
  // Says it again.
  rpc ProcessPayment(PaymentRequest) returns (PaymentRequest);
}
message PaymentRequest {
  // What is said.
  string words = 1;
  map<string, Inner> inner = 2;
  oneof choice { int64 number = 3; bool truth = 4; }
  message Inner { repeated PaymentRequest again = 1; }
}
"""


def called(target: str, *words: str | Path, **options: Any) -> list[Any]:
    run = run_paycli("call", *words, "--target", target, **options)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_all_four_kinds_are_called_by_reflection(project: Path) -> None:
    with serving(project, "servicer:Sync") as (_, target):
        (one,) = called(target, "every.Every/One", '{"text": "a"}')
        assert set(one) == {"text"}
        assert called(target, "One", "text: a") == [one]
        assert len(called(target, "every.Every.Many", "{text: b}")) > 1
        assert called(target, "Every/Sum", '{"text": "a"}\n---\n{"text": "b"}')
        assert len(called(target, "Talk", "text: a\n---\ntext: b\n---\ntext: c")) == 3
        shown = run_paycli("describe", "--target", target).stdout
        assert "service every.Every {" in shown
        assert "  rpc Talk(stream every.Ask) returns (stream every.Told);" in shown


def test_errors_are_told_with_their_details(server: Server) -> None:
    words = ("call", "GetPayment", "{name: payments/x}", "--target", server.target)
    run = run_paycli(*words)
    assert (run.returncode, run.stdout) == (1, "")
    said, detail = run.stderr.splitlines()
    assert said == "Error: The service answered NOT_FOUND: No payment has the id 'x'."
    assert json.loads(detail)["reason"] == "PAYMENT_NOT_FOUND"
    error = json.loads(run_paycli(*words, "--json").stderr)["error"]
    assert (error["status"], error["reason"]) == ("NOT_FOUND", "PAYMENT_NOT_FOUND")
    verbose = run_paycli("call", "Health/Check", "-v", "--target", server.target)
    assert json.loads(verbose.stdout) == {"status": "SERVING"}
    assert "trailing metadata after " in verbose.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("Nope",), "There is no method 'Nope'"),
        (("ListPayment",), "did you mean 'ListPayments'?"),
        (("ProcessPayment", "{amont: 5}"), "'paycli describe payment.PaymentRequest' shows one"),
        (("ProcessPayment", "[1]"), "DATA:1:1: this is no payment.PaymentRequest"),
        (("ProcessPayment", "just words"), "DATA:1:1: this is no payment.PaymentRequest"),
        (("ProcessPayment", "a: ["), "DATA:"),
        (("ProcessPayment", "{a: 1}\n---\n{a: 2}"), "takes one request, and 2 were given"),
        (("ProcessPayment", "-I", "proto", "--descriptor-set", "x"), "either -I DIR or"),
        (("ProcessPayment", "--descriptor-set", "README.md"), "this is no descriptor set"),
        (("ProcessPayment", "--descriptor-set", "no"), "no: cannot be read"),
    ],
)
def test_a_mistake_is_one_sentence(server: Server, words: tuple[str, ...], said: str) -> None:
    run = run_paycli("call", *words, "--target", server.target)
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr
    assert run.stderr.count("\n") == 1


def test_somebody_elses_payment_proto_never_meets_ours(tmp_path: Path) -> None:
    """A server without reflection, by its protos and by their descriptors."""
    (tmp_path / "proto").mkdir()
    (tmp_path / "proto/payment.proto").write_text(PROTO)
    made = run_paycli("gen", "--descriptor-set", "all.binpb", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    handler: Any = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
    handlers = grpc.method_handlers_generic_handler(
        "payment.PaymentService", {"ProcessPayment": handler}
    )
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handlers,))
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        blind = run_paycli("call", "ProcessPayment", "--target", target)
        assert (blind.returncode, blind.stdout) == (1, "")
        assert "Name its protos with -I DIR" in blind.stderr
        asked = {"words": "hé", "inner": {"k": {"again": [{"truth": True}]}}, "number": "5"}
        for where in (("-I", "proto"), ("--descriptor-set", "all.binpb")):
            (told,) = called(target, "ProcessPayment", json.dumps(asked), *where, cwd=tmp_path)
            assert told["words"] == "hé"
            assert told["inner"]["k"]["again"][0]["truth"] is True
            assert told["number"] == "5"
        empty = called(target, "ProcessPayment", "-I", "proto", cwd=tmp_path)
        assert empty == [{"words": "", "inner": {}}]
    finally:
        server.stop(None)
    shown = run_paycli("describe", "payment.PaymentRequest", "-I", "proto", cwd=tmp_path)
    text, _, filled = shown.stdout.partition("\n// payment.PaymentRequest to fill in:\n")
    assert text == (
        "message payment.PaymentRequest {\n"
        "  // What is said.\n"
        "  string words = 1;\n"
        "  map<string, payment.PaymentRequest.Inner> inner = 2;\n"
        "  int64 number = 3;  // one of choice\n"
        "  bool truth = 4;  // one of choice\n"
        "}\n"
    )
    assert json.loads(filled)["inner"] == {"key": {"again": [{}]}}
    method = run_paycli(
        "describe", "payment.PaymentService/ProcessPayment", "-I", "proto", cwd=tmp_path
    )
    assert method.stdout.startswith("// Says it again.\nrpc ProcessPayment(payment.PaymentRequest)")
    nested = run_paycli("describe", "payment.PaymentRequest.Inner", "-I", "proto", cwd=tmp_path)
    assert "repeated payment.PaymentRequest again = 1;" in nested.stdout


def test_a_server_that_knows_the_new_reflection_alone_is_understood(server: Server) -> None:
    """And one that knows the old one alone."""
    for version in ("v1", "v1alpha"):
        servicer = reflection.ReflectionServicer(
            [health_pb2.DESCRIPTOR.services_by_name["Health"].full_name]
        )
        handler = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        name = f"grpc.reflection.{version}.ServerReflection"
        telling = grpc.server(futures.ThreadPoolExecutor(2))
        telling.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler}),)
        )
        target = f"127.0.0.1:{telling.add_insecure_port('127.0.0.1:0')}"
        telling.start()
        try:
            shown = run_paycli("describe", "grpc.health.v1.HealthCheckRequest", "--target", target)
        finally:
            telling.stop(None)
        assert "  string service = 1;" in shown.stdout, shown.stderr


def test_what_has_no_answer_is_unknown() -> None:
    with odd_service.service(odd_service.never) as target:
        words = ("call", "payment.PaymentService/ProcessPayment", "-I", "proto", "--target", target)
        late = run_paycli(*words, "--timeout", "0.5")
        assert (late.returncode, late.stdout) == (5, "")
        assert "it may have been carried out" in late.stderr


def test_our_servers_word_that_it_is_unknown_is_taken(server: Server) -> None:
    request = "{order_id: o, amount: 5, currency: EUR, user_id: sim_lost_answer}"
    line = ("call", "ProcessPayment", request, "--target", server.target, "--json")
    lost = run_paycli(*line)
    error = json.loads(lost.stderr)["error"]
    assert (lost.returncode, error["retry"]) == (5, "unknown")
    assert error["reason"] == "PROCESSOR_OUTCOME_UNKNOWN"


@pytest.mark.parametrize(("status", "retry"), [("INTERNAL", "unknown"), ("NOT_FOUND", "no")])
def test_a_status_of_others_may_leave_open_whether_to_retry(status: str, retry: str) -> None:
    def answer(_request: object, context: grpc.ServicerContext) -> None:
        odd_service.end(context, grpc.StatusCode[status], "because")

    with odd_service.service(answer) as target:
        words = ("call", "payment.PaymentService/ProcessPayment", "-I", "proto", "--target", target)
        failed = run_paycli(*words, "--json")
    assert (failed.returncode, json.loads(failed.stderr)["error"]["retry"]) == (1, retry)


def test_a_stream_ends_with_ctrl_c(server: Server) -> None:
    run_paycli("pay", "--amount", "1", "--target", server.target)
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", "call", "WatchEvents", "--target", server.target],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["kind"] == "EVENT_KIND_CHARGED"
        watching.send_signal(signal.SIGINT)
        assert watching.communicate(timeout=20) == ("", "")
    assert watching.returncode == 130
