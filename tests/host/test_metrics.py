"""Metrics of a server: the right numbers, for whoever asks politely, whatever others do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from paycli.generated import payment_pb2
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.host.interceptors import Method
from paycli.host.observation.metrics import CallMetrics, code_name, process_registry
from tests.conftest import Server, StartServer, run_paycli
from tests.processes import children_of
from tests.wire import client_of

PAY = {
    "grpc_type": "unary",
    "grpc_service": "payment.PaymentService",
    "grpc_method": "ProcessPayment",
}
WATCH = {
    "grpc_type": "server_stream",
    "grpc_service": "paycli.payments.v1.Payments",
    "grpc_method": "WatchEvents",
}


class Scraped:
    """What the metrics say at one moment."""

    def __init__(self, text: str) -> None:
        self._samples = [
            sample
            for family in parser.text_string_to_metric_families(text)
            for sample in family.samples
        ]

    def names(self) -> list[tuple[str, set[str]]]:
        """The name of each sample, and the names of its labels."""
        return [(sample.name, set(sample.labels)) for sample in self._samples]

    def value(self, name: str, **labels: str) -> float:
        """Of the one sample of this name with these labels; 0 if there is none."""
        found = [
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert len(found) < 2, name
        return found[0] if found else 0.0


@pytest.fixture
def ports(start_server: StartServer) -> tuple[Server, int]:
    """A server and the port of its metrics."""
    port = free_port()
    return start_server("--metrics-port", str(port)), port


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def ask(
    port: int, method: str = "GET", path: str = "/metrics", **headers: str
) -> tuple[int, str, str]:
    """Status, content type and text of an answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.headers["content-type"], answer.read().decode()
    connection.close()
    return found


def scrape(port: int) -> Scraped:
    status, _, text = ask(port)
    assert status == 200
    return Scraped(text)


def request_of(order_id: str, **fields: str | float) -> payment_pb2.PaymentRequest:
    return payment_pb2.PaymentRequest(
        **({"order_id": order_id, "amount": 5, "currency": "EUR", "user_id": "ada"} | fields)  # type: ignore[arg-type]
    )


def until(holds: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_calls_and_commits_are_counted(ports: tuple[Server, int]) -> None:
    server, port = ports
    with client_of(server.target) as client:
        for number in range(3):
            client.seed.ProcessPayment(request_of(f"{number}"), timeout=20)
        with pytest.raises(grpc.RpcError):
            client.seed.ProcessPayment(request_of("3", currency="XXX"), timeout=20)
        hanging = client.seed.ProcessPayment.future(
            request_of("4", user_id="sim_slow_60000"), timeout=60
        )
        until(lambda: scrape(port).value("grpc_server_started_total", **PAY) == 5)
        said = scrape(port)
        hanging.cancel()
        handled = "grpc_server_handled_total"
        assert said.value(handled, grpc_code="OK", **PAY) == 3
        assert said.value(handled, grpc_code="InvalidArgument", **PAY) == 1
        assert said.value("grpc_server_handling_seconds_count", **PAY) == 4
        assert 0 < said.value("grpc_server_handling_seconds_sum", **PAY) < 20
        until(lambda: scrape(port).value(handled, grpc_code="Canceled", **PAY) == 1)
        events = client.payments.WatchEvents(pb.WatchEventsRequest(after_sequence=0), timeout=20)
        assert [next(events).sequence for _ in range(3)] == [1, 2, 3]
        until(lambda: scrape(port).value("grpc_server_msg_sent_total", **WATCH) == 3)
        counted = scrape(port)
        assert counted.value("grpc_server_msg_received_total", **WATCH) == 1
        assert counted.value("grpc_server_msg_received_total", **PAY) == 5
        assert counted.value("grpc_server_msg_sent_total", **PAY) == 3
        events.cancel()
    assert said.value("paycli_commit_batch_size_sum") >= 3
    commits = said.value("paycli_commit_batch_size_count")
    assert 1 <= commits == said.value("paycli_commit_seconds_count")
    assert 0 < said.value("paycli_commit_seconds_sum") < 20
    assert said.value("paycli_commit_queue_depth") == 0
    assert said.value("paycli_store_serving") == 1
    assert said.value("process_resident_memory_bytes") > 1e6
    assert "_created" not in ask(port)[2]


def test_a_store_that_hangs_is_seen(ports: tuple[Server, int]) -> None:
    server, port = ports
    (writer,) = children_of(server.process.pid)
    with client_of(server.target) as client:
        os.kill(writer, signal.SIGSTOP)
        calls = [
            client.seed.ProcessPayment.future(request_of(f"{number}"), timeout=30)
            for number in range(20)
        ]
        until(lambda: scrape(port).value("paycli_commit_queue_depth") > 0)
        until(lambda: scrape(port).value("paycli_store_serving") == 0)
        os.kill(writer, signal.SIGCONT)
        until(lambda: scrape(port).value("paycli_store_serving") == 1)
        assert scrape(port).value("paycli_commit_queue_depth") == 0
        for call in calls:
            assert call.exception() is None or call.code() is grpc.StatusCode.UNAVAILABLE


def test_only_get_metrics_is_answered(ports: tuple[Server, int]) -> None:
    _, port = ports
    assert ask(port, path="/metrics?name[]=x")[0] == 200
    assert ask(port, path="/")[0] == 404
    assert ask(port, path="/metrics/x")[0] == 404
    assert ask(port, "POST")[0] == 405
    assert ask(port)[1].startswith("text/plain")
    status, kind, text = ask(port, accept="application/openmetrics-text; version=1.0.0")
    assert (status, kind.partition(";")[0]) == (200, "application/openmetrics-text")
    read: Any = openmetrics.text_string_to_metric_families  # comes without types
    assert list(read(text))
    with socket.create_connection(("::1", port), timeout=10) as other:
        other.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert other.recv(15) == b"HTTP/1.1 200 OK"


def test_slow_and_hostile_scrapers_harm_nobody(ports: tuple[Server, int]) -> None:
    server, port = ports
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    hostile = [
        b"\x00\xff" * 20_000 + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 10_000,
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nAccept: \xff;q=x;;,\r\n\r\n",
    ]
    for said in hostile:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as other:
            try:
                other.sendall(said)
                while other.recv(65536):
                    pass
            except ConnectionError:
                pass
    assert scrape(port).value("paycli_store_serving") == 1
    with client_of(server.target) as client:
        client.pay("order-1")
    silent[-1].settimeout(10)
    assert silent[-1].recv(1) == b""  # it said nothing for too long
    for each in silent:
        each.close()
    assert scrape(port).value("process_open_fds") < 60
    with socket.create_connection(("127.0.0.1", port)):
        assert server.stop() == 0
    assert "rror" not in server.stderr()


def test_a_port_that_is_taken_is_a_sentence_and_nothing_is_begun(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments in ((), ("--log-format", "json")):
            refused = run_paycli(
                *("serve", "--port", "0", "--port-file", "port", "--metrics-port", str(port)),
                *arguments,
                cwd=tmp_path,
            )
            assert (refused.returncode, refused.stdout) == (1, "")
            assert (
                f"Cannot listen on 127.0.0.1:{port}: another program listens there. Stop it, or "
                "choose another --metrics-port (0: any)." in refused.stderr
            )
            assert refused.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_public_address_of_metrics_needs_a_word_of_consent(tmp_path: Path) -> None:
    refused = run_paycli("serve", "--metrics-port", "0", "--metrics-host", "0.0.0.0", cwd=tmp_path)
    assert refused.returncode == 2
    assert "0.0.0.0 lets other machines" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_port_0_is_one_that_the_start_names(start_server: StartServer) -> None:
    server = start_server("--metrics-port", "0")
    assert server.process.stderr is not None
    said = [server.process.stderr.readline() for _ in range(3)]
    assert said[1].startswith("Metrics on http://127.0.0.1:")
    port = int(said[1].split()[2].rpartition(":")[2].removesuffix("/metrics"))
    assert scrape(port).value("paycli_store_serving") == 1
    assert f"http://[::1]:{port}/metrics" in said[1]


def without_metrics(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """paycli where prometheus-client is not installed."""
    program = (
        "import sys; sys.modules['prometheus_client'] = None;"
        "from paycli.cli.app import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
    )


def test_a_missing_extra_is_a_sentence_with_the_command(tmp_path: Path) -> None:
    refused = without_metrics("serve", "--metrics-port", "0", cwd=tmp_path)
    assert refused.returncode == 2
    assert "pip install 'paycli[metrics]'" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_codes_are_named_as_go_names_them() -> None:
    assert [code_name(code) for code in grpc.StatusCode] == [
        *("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound"),
        *("AlreadyExists", "PermissionDenied", "ResourceExhausted", "FailedPrecondition"),
        *("Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss"),
        "Unauthenticated",
    ]


def test_a_method_may_have_any_path() -> None:
    method = Method("/any.Service/with/more", False, False, None, None, None)  # type: ignore[arg-type]
    registry = process_registry()
    CallMetrics(registry).count_messages(method).write(b"")  # type: ignore[misc]
    labels = {"grpc_type": "unary", "grpc_service": "any.Service", "grpc_method": "with/more"}
    assert registry.get_sample_value("grpc_server_msg_sent_total", labels) == 1


def test_a_host_alone_offers_nothing(tmp_path: Path) -> None:
    refused = run_paycli("serve", "--metrics-host", "localhost", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("Error: --metrics-host says where")
