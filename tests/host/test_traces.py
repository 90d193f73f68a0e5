"""Traces of a server, as a collector receives them."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from tests.conftest import StartServer
from tests.wire import client_of, creation, refused

pytest.importorskip("opentelemetry.sdk")
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

COLLECTOR: Final = "opentelemetry.proto.collector.trace.v1.TraceService"
TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = "00f067aa0ba902b7"


class Collector:
    """Takes spans."""

    def __init__(self) -> None:
        self.spans: queue.Queue[Any] = queue.Queue()
        self.services: set[str] = set()

    def export(self, request: Any, context: Any) -> Any:
        for resource in request.resource_spans:
            self.services |= {
                each.value.string_value
                for each in resource.resource.attributes
                if each.key == "service.name"
            }
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.put(span)
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that servers from now on send to."""
    collecting, server = Collector(), grpc.server(ThreadPoolExecutor(2))
    export = grpc.unary_unary_rpc_method_handler(
        collecting.export,
        trace_service_pb2.ExportTraceServiceRequest.FromString,
        trace_service_pb2.ExportTraceServiceResponse.SerializeToString,
    )
    handler = grpc.method_handlers_generic_handler(COLLECTOR, {"Export": export})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "the shop's")
    yield collecting
    server.stop(0).wait()


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_a_call_is_a_span_of_its_callers_trace(
    collector: Collector, start_server: StartServer
) -> None:
    server = start_server("--log-calls")
    with client_of(server.target) as client:
        sent = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)
        client.payments.CreatePayment(creation(), metadata=sent, timeout=20)
        with refused("PAYMENT_NOT_FOUND"):
            client.get("payments/none")
        with refused("PROCESSOR_UNAVAILABLE"):
            client.create(customer_id="sim_unavailable")
    assert server.stop() == 0  # and what was on its way is there
    created, lost, failed = (collector.spans.get(timeout=10) for _ in range(3))
    assert created.name == "paycli.payments.v1.Payments/CreatePayment"
    assert (created.trace_id.hex(), created.parent_span_id.hex()) == (TRACE, PARENT)
    assert created.end_time_unix_nano > created.start_time_unix_nano
    assert attributes(created).items() >= {
        ("rpc.system", "grpc"),
        ("rpc.service", "paycli.payments.v1.Payments"),
        ("rpc.method", "CreatePayment"),
    }
    codes = [attributes(each)["rpc.grpc.status_code"] for each in (created, lost, failed)]
    assert codes == [0, 5, 14]
    assert [each.status.code for each in (created, lost, failed)] == [0, 0, 2]
    assert lost.trace_id.hex() != TRACE
    assert collector.services == {"the shop's"}
    assert f" trace_id={TRACE} " in server.stderr()


def test_a_collector_that_is_gone_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, start_server: StartServer
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    server = start_server()
    with client_of(server.target) as client:
        client.pay("order-1")
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("exporter", "code", "said"),
    [
        ("none", 2, ""),
        ("no-such", 2, "OTEL_TRACES_EXPORTER names no-such, which is not installed here."),
        ("otlp", 2, "there are no traces without OpenTelemetry: pip install 'paycli[otel]'"),
    ],
)
def test_what_the_environment_asks_for_in_vain(
    exporter: str, code: int, said: str, tmp_path: Path
) -> None:
    """The store is one that cannot be, so that each start ends."""
    hidden = "sys.modules['opentelemetry'] = None;" if exporter == "otlp" else ""
    program = f"import sys; {hidden} from paycli.cli.app import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", program, "serve", "--port", "0", "--store", "nowhere"],
        env={**os.environ, "OTEL_TRACES_EXPORTER": exporter},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert ended.returncode == code
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
