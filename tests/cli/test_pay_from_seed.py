"""`paycli pay --from` to a plain server that knows no payment again: nothing is sent twice, all is accounted for."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.test_pay_from import counted
from tests.host.test_metrics import free_port

SERVER = """\
import os, sys
from concurrent import futures
import grpc
from paycli.generated import payment_pb2, payment_pb2_grpc

log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

class PaymentService(payment_pb2_grpc.PaymentServiceServicer):
    def ProcessPayment(self, request, context):
        os.write(log, f"{request.order_id}\\n".encode())
        return payment_pb2.PaymentResponse(payment_id=request.order_id, status="SUCCESS")

server = grpc.server(futures.ThreadPoolExecutor(8))
payment_pb2_grpc.add_PaymentServiceServicer_to_server(PaymentService(), server)
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
"""


@pytest.mark.parametrize("after", [1, 700])
def test_a_server_killed_in_the_middle_gets_no_row_twice(tmp_path: Path, after: int) -> None:
    rows, log, rejects = tmp_path / "rows.csv", tmp_path / "log", tmp_path / "rejects.csv"
    orders = [f"o{n}" for n in range(3000)]
    rows.write_text("order_id,amount,currency\n" + "".join(f"{each},5,EUR\n" for each in orders))
    port = free_port()
    log.touch()
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(port), str(log)])

    def received() -> Counter[str]:
        return Counter(log.read_text().split())

    with subprocess.Popen(
        [sys.executable, "-m", "paycli", "pay", "--from", rows, "--rejects", rejects, "--json",
         "--target", f"127.0.0.1:{port}", "--wait", "20", "--timeout", "5", "--concurrency", "16"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as paying:  # fmt: skip
        while received().total() < after:
            time.sleep(0.005)
        server.kill()
        server.wait()
        shown, _ = paying.communicate(timeout=60)
    counts = json.loads(shown)
    assert paying.returncode == 5
    ends = ("paid", "paid_before", "declined", "rejected", "failed", "unknown", "not_sent")
    # What was read and not sent is told of; what was not read has not begun.
    assert counts["rows"] == sum(counts[each] for each in ends)
    unknown = {
        json.loads(line)["order_id"]
        for line in (tmp_path / "rows.csv.unknown.ndjson").read_text().splitlines()
    }
    assert len(unknown) == counts["unknown"] > 0
    assert max(received().values()) == 1
    answered = received().keys() - unknown
    assert len(answered) == counts["paid"]
    # The rows that may be paid are the only ones that a second run may pay again.
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(port), str(log)])
    try:
        rest = tmp_path / "rest.csv"
        lines = "".join(f"{each},5,EUR\n" for each in orders if each not in answered | unknown)
        rest.write_text(f"order_id,amount,currency\n{lines}")
        code, _ = counted(f"127.0.0.1:{port}", rest, "--wait", "20")
        assert code == 0
    finally:
        server.kill()
        server.wait()
    assert received().keys() | unknown == set(orders)
    assert max(received().values()) == 1
