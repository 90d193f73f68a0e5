"""`paycli serve --reload`: each save is served, on one port, and a mistake is waited out."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import run_paycli

ROOT = Path(__file__).parents[2]
SERVICER = """
from generated import payment_pb2, payment_pb2_grpc


class Pay(payment_pb2_grpc.PaymentServiceServicer):
    async def ProcessPayment(self, request, context):
        return payment_pb2.PaymentResponse(payment_id="first", status="SUCCESS")
"""


class Reloading:
    """A server that is started again and again, and what it says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        line = [sys.executable, "-m", "paycli", "serve", "servicer:Pay", "--reload"]
        self.process = subprocess.Popen(
            [*line, "--port", "0"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._listening = threading.Thread(target=self._listen)
        self._listening.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.said.append(line.rstrip("\n"))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self._listening.join()

    def wait_for(self, text: str) -> str:
        """The next line with a text; what came before it is forgotten."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            for number, line in enumerate(list(self.said)):
                if text in line:
                    del self.said[: number + 1]
                    return line
            time.sleep(0.02)
        raise AssertionError(f"{text} is not in {self.said}")

    def port(self) -> str:
        """Where it listens now, once it is ready."""
        port = self.wait_for("Listening on").rpartition(":")[2]
        self.wait_for("ready!")
        return port

    def rewrite(self, name: str, before: str, after: str) -> None:
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")


@pytest.fixture
def reloading(tmp_path: Path) -> Iterator[Reloading]:
    (tmp_path / "proto").mkdir()
    shutil.copy(ROOT / "proto/payment.proto", tmp_path / "proto")
    assert run_paycli("gen", cwd=tmp_path).returncode == 0
    (tmp_path / "servicer.py").write_text(SERVICER, encoding="utf-8")
    server = Reloading(tmp_path)
    yield server
    server.stop()


def paid(port: str) -> str:
    run = run_paycli("pay", "--amount", "1", "--target", f"localhost:{port}")
    return run.stdout.splitlines()[1].rpartition(" ")[2]


def test_each_save_is_served_on_one_port(reloading: Reloading) -> None:
    port = reloading.port()
    assert paid(port) == "first"
    reloading.rewrite("servicer.py", '"first"', '"second"')
    assert reloading.wait_for("changed") == "servicer.py changed."
    assert reloading.port() == port
    assert paid(port) == "second"


def test_a_mistake_is_said_and_waited_out(reloading: Reloading) -> None:
    port = reloading.port()
    reloading.rewrite("servicer.py", "class Pay(", "class Pay((")
    reloading.wait_for("Error: servicer fails on import: SyntaxError")
    reloading.wait_for("The server ended with 2; it is started again at the next change.")
    reloading.rewrite("servicer.py", "class Pay((", "class Pay(")
    assert reloading.port() == port
    assert paid(port) == "first"


def test_a_proto_is_generated_first_and_a_wrong_one_leaves_the_server(reloading: Reloading) -> None:
    port = reloading.port()
    reloading.rewrite(
        "proto/payment.proto", "string status = 2;", "string status = 2; int32 n = 3;"
    )
    assert reloading.wait_for("changed") == "proto/payment.proto changed."
    reloading.wait_for("files in generated changed.")
    assert reloading.port() == port
    stub = (reloading.folder / "generated/payment_pb2.pyi").read_text(encoding="utf-8")
    assert "n: int" in stub
    reloading.rewrite("proto/payment.proto", "int32 n", "int33 n")
    reloading.wait_for('"int33" is not defined')
    assert paid(port) == "first"
    assert not [line for line in reloading.said if "draining" in line]


def test_what_is_saved_while_it_starts_again_is_not_missed(reloading: Reloading) -> None:
    reloading.port()
    reloading.rewrite("proto/payment.proto", "string status", "int32 n = 3; string status")
    reloading.wait_for("files in generated changed.")
    reloading.rewrite("proto/payment.proto", "int32 n", "int33 n")
    reloading.wait_for('"int33" is not defined')


def test_kill_9_takes_the_server_along(reloading: Reloading) -> None:
    port = reloading.port()
    reloading.process.kill()
    reloading.process.wait(20)
    reloading.wait_for("draining")
    until = time.monotonic() + 20
    while time.monotonic() < until:
        run = run_paycli("pay", "--amount", "1", "--target", f"localhost:{port}", "--timeout", "2")
        if run.returncode == 3:
            return
    raise AssertionError("the server goes on")


def test_a_stop_is_heard_while_files_are_saved(reloading: Reloading) -> None:
    reloading.port()
    over = threading.Event()

    def save() -> None:
        while not over.wait(0.05):
            (reloading.folder / "saved.py").write_text(f"# {time.monotonic()}\n")

    saving = threading.Thread(target=save)
    saving.start()
    try:
        time.sleep(1)
        reloading.process.terminate()
        assert reloading.process.wait(15) == 0
    finally:
        over.set()
        saving.join()


def test_what_lies_there_is_not_taken_for_pythons_own(reloading: Reloading) -> None:
    port = reloading.port()
    (reloading.folder / "random.py").write_text("raise SystemExit('not me')\n")
    reloading.wait_for("random.py changed.")
    assert reloading.port() == port


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_stops_the_server_too(reloading: Reloading, number: signal.Signals) -> None:
    port = reloading.port()
    reloading.process.send_signal(number)
    assert reloading.process.wait(20) == 0
    run = run_paycli("pay", "--amount", "1", "--target", f"localhost:{port}", "--timeout", "2")
    assert run.returncode == 3
