"""The seed's own parts work unchanged, in real processes on free ports.

Client and server here are what a developer writes from the contract alone: flat modules from the
classic protoc line, no paycli code in their processes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server, run_paycli

PROTO = Path(__file__).parents[2] / "proto"

PLAIN_CLIENT = """\
import sys
import grpc
import payment_pb2
import payment_pb2_grpc

with grpc.insecure_channel(sys.argv[1]) as channel:
    stub = payment_pb2_grpc.PaymentServiceStub(channel)
    request = payment_pb2.PaymentRequest(order_id="42", amount=99.99, currency="EUR", user_id="ada")
    response = stub.ProcessPayment(request)
print("Payment Service responded.")
print(f"Response payment ID: {response.payment_id}")
print(f"Response status: {response.status}")
"""

PLAIN_SERVER = """\
from concurrent import futures
import grpc
import payment_pb2
import payment_pb2_grpc


class PaymentService(payment_pb2_grpc.PaymentServiceServicer):
    def ProcessPayment(self, request, context):
        return payment_pb2.PaymentResponse(payment_id="12345", status="SUCCESS")


server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
payment_pb2_grpc.add_PaymentServiceServicer_to_server(PaymentService(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
print("Payment Processing Service ready!", flush=True)
server.wait_for_termination()
"""


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A folder with the flat modules, made by the classic line inside `proto/`."""
    folder = tmp_path / "flat"
    folder.mkdir()
    line = ["-m", "grpc_tools.protoc", "-I.", f"--python_out={folder}"]
    line += [f"--grpc_python_out={folder}", "payment.proto"]
    subprocess.run([sys.executable, *line], cwd=PROTO, check=True)
    assert {path.name for path in folder.iterdir()} == {"payment_pb2.py", "payment_pb2_grpc.py"}
    return folder


@pytest.fixture
def plain_server(flat: Path) -> Iterator[str]:
    (flat / "server.py").write_text(PLAIN_SERVER, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "server.py"], cwd=flat, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    assert process.stdout.readline() == "Payment Processing Service ready!\n"
    yield f"localhost:{port}"
    process.kill()
    process.communicate()


def test_the_plain_client_is_served(flat: Path, server: Server) -> None:
    (flat / "client.py").write_text(PLAIN_CLIENT, encoding="utf-8")
    outputs = [
        subprocess.run(
            [sys.executable, "client.py", server.target],
            cwd=flat,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        for _ in range(2)
    ]
    assert outputs[0][0] == "Payment Service responded."
    assert outputs[0][1].startswith("Response payment ID: pay_")
    assert outputs[0][2] == "Response status: SUCCESS"
    assert outputs[0] == outputs[1]  # the same order, run again, is the same payment


def test_pay_talks_to_the_plain_server(plain_server: str) -> None:
    paid = run_paycli("pay", "--amount", "99.99", "--target", plain_server)
    assert (paid.returncode, paid.stderr) == (0, "")
    assert paid.stdout == (
        "Payment Service responded.\nResponse payment ID: 12345\nResponse status: SUCCESS\n"
    )


def test_smoke_proves_the_plain_server_and_says_what_it_skips(plain_server: str) -> None:
    smoke = run_paycli("smoke", "--target", plain_server)
    assert smoke.returncode == 0, smoke.stdout + smoke.stderr
    assert smoke.stdout.count("PASS") == 5
    assert (
        "the target has no health service that could say that it offers paycli.payments.v1.Payments"
        in smoke.stdout
    )
    assert "5 passed, 0 failed, 65 skipped" in smoke.stderr
