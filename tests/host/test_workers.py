"""`paycli serve --workers`: several processes as one server, renewed without a failed call."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import grpc
import pytest

from paycli.generated import payment_pb2, payment_pb2_grpc
from tests.conftest import run_paycli
from tests.processes import children_of

ROOT = Path(__file__).parents[2]
SERVICER = """
import os
from paycli.generated import payment_pb2, payment_pb2_grpc


class Pay(payment_pb2_grpc.PaymentServiceServicer):
    async def ProcessPayment(self, request, context):
        return payment_pb2.PaymentResponse(payment_id=str(os.getpid()), status="SUCCESS")
"""


class Workers:
    """A supervisor, and what it says."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        line = [sys.executable, "-m", "paycli", "serve", *arguments, "--port", "0"]
        self.process = subprocess.Popen(
            [*line, "--port-file", "port"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.said: list[str] = []
        self._listening = threading.Thread(target=self._listen)
        self._listening.start()
        self.wait_for("ready!")
        self.target = f"localhost:{(folder / 'port').read_text(encoding='ascii').strip()}"

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.said.append(line)

    def wait_for(self, text: str) -> None:
        eventually(lambda: self.count(text) > 0)

    def count(self, text: str) -> int:
        return sum(text in line for line in self.said)

    @property
    def pids(self) -> set[int]:
        return set(children_of(self.process.pid))

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait(30)
        self._listening.join()
        return code


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Workers]:
    workers = Workers(folder, *arguments)
    try:
        yield workers
    finally:
        workers.stop()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "servicer.py").write_text(SERVICER, encoding="utf-8")
    return tmp_path


def paid_by(target: str) -> int:
    """The process that takes a payment over a connection of its own."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.insecure_channel(target, options=options) as channel:
        request = payment_pb2.PaymentRequest(order_id="1", amount=1, currency="EUR", user_id="ada")
        stub = payment_pb2_grpc.PaymentServiceStub(channel)
        return int(stub.ProcessPayment(request, timeout=20).payment_id)


class Load:
    """Callers that pay all the time, half of them over a connection of their own each time."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.paid: list[str] = []
        self.failed: list[grpc.RpcError] = []
        self._stop = threading.Event()
        self._callers = [threading.Thread(target=self._pay, args=(n,)) for n in range(6)]

        for each in self._callers:
            each.start()

    def close(self) -> None:
        self._stop.set()
        for each in self._callers:
            each.join()

    def _pay(self, number: int) -> None:
        options = (("grpc.use_local_subchannel_pool", 1),)
        channel = grpc.insecure_channel(self.target, options=options)
        count = 0
        while not self._stop.is_set():
            if number % 2:
                channel.close()
                channel = grpc.insecure_channel(self.target, options=options)
            order, count = f"{number}-{count}", count + 1
            request = payment_pb2.PaymentRequest(
                order_id=order, amount=1, currency="EUR", user_id="ada"
            )
            try:
                stub = payment_pb2_grpc.PaymentServiceStub(channel)
                assert stub.ProcessPayment(request, timeout=30).status == "SUCCESS"
                self.paid.append(order)
            except grpc.RpcError as problem:
                self.failed.append(problem)
        channel.close()


def test_connections_are_dealt_out_and_ready_is_said_once(project: Path) -> None:
    with serving(project, "servicer:Pay", "--workers", "2") as workers:
        pids = workers.pids
        assert len(pids) == 2
        for pid in pids:
            eventually(lambda pid=pid: paid_by(workers.target) == pid)  # type: ignore[misc]
        assert workers.stop() == 0
        assert workers.count("ready!") == 1
        assert workers.count("Listening on") == 1
        assert not (project / "port").exists()


def test_a_worker_that_is_killed_is_replaced(project: Path) -> None:
    with serving(project, "servicer:Pay", "--workers", "2") as workers:
        before = workers.pids
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        workers.wait_for(f"Worker {victim} ended with 137; another starts in 0.1 s.")
        eventually(lambda: len(workers.pids - {victim}) == 2)
        (new,) = workers.pids - before
        eventually(lambda: paid_by(workers.target) == new)


def test_a_stop_while_a_worker_starts_again_is_no_failure(project: Path) -> None:
    with serving(project, "servicer:Pay", "--workers", "2") as workers:
        before = workers.pids
        os.kill(min(before), signal.SIGKILL)
        eventually(lambda: bool(workers.pids - before))
        assert workers.stop() == 0


def test_no_call_fails_while_all_workers_are_renewed(project: Path) -> None:
    renewed = ("--workers", "2", "--max-connection-age", "0.5")
    with serving(project, "servicer:Pay", *renewed) as workers:
        before = workers.pids
        with closing(Load(workers.target)) as load:
            eventually(lambda: len(load.paid) > 50)
            workers.process.send_signal(signal.SIGUSR2)
            workers.wait_for("All workers are new.")
            count = len(load.paid)
            eventually(lambda: len(load.paid) > count + 50)
        assert load.failed == []
        assert not workers.pids & before
        assert len(workers.pids) == 2


def test_no_payment_fails_while_the_service_is_renewed(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1", "--max-connection-age", "0.5") as workers:
        before = workers.pids
        with closing(Load(workers.target)) as load:
            for _ in range(2):
                eventually(lambda: len(load.paid) > 50)
                count = workers.count("All workers are new.")
                workers.process.send_signal(signal.SIGUSR2)
                eventually(
                    lambda at=count: workers.count("All workers are new.") > at  # type: ignore[misc]
                )
        assert load.failed == []
        assert not workers.pids & before
    verified = run_paycli("db", "verify", cwd=tmp_path)
    assert f"{len(load.paid):,} payments" in verified.stdout, verified.stderr


def test_the_old_ones_go_on_when_a_new_one_does_not_start(project: Path) -> None:
    with serving(project, "servicer:Pay", "--workers", "2") as workers:
        before = workers.pids
        (project / "servicer.py").write_text("import nonsense", encoding="utf-8")
        workers.process.send_signal(signal.SIGUSR2)
        workers.wait_for("A new worker ended with 2; the old ones go on.")
        assert workers.pids == before
        assert paid_by(workers.target) in before


def test_workers_end_with_a_supervisor_that_is_killed(project: Path) -> None:
    workers = Workers(project, "servicer:Pay", "--workers", "2")
    pids = workers.pids
    workers.process.kill()
    workers.process.wait()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    workers.stop()


def test_a_mistake_is_told_once_and_nothing_is_left(project: Path) -> None:
    refused = run_paycli("serve", "servicer:Nobody", "--workers", "3", "--port", "0", cwd=project)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "Nobody" in refused.stderr


def test_a_port_that_is_taken_is_told(project: Path) -> None:
    with serving(project, "servicer:Pay", "--workers", "1") as workers:
        port = workers.target.rpartition(":")[2]
        port_file = project / "the_first_ones"
        port_file.write_text(f"{port}\n")
        same = ("--port", port, "--port-file", str(port_file))
        for more in ((), ("--workers", "2")):
            second = run_paycli("serve", "servicer:Pay", *same, *more, cwd=project)
            assert second.returncode == 1
            assert port_file.exists()
            assert "another program listens there" in second.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--workers", "2"),
            "SQLite store has one writer: --workers 1, or a --store in PostgreSQL",
        ),
        (("m:S", "--workers", "2", "--reload"), "--workers and --reload do not go together"),
        (("m:S", "--workers", "2", "--metrics-port", "0"), "--workers and --metrics-port do not"),
        (("m:S", "--workers", "0"), "0 is not in the range"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    refused = run_paycli("serve", *arguments, cwd=tmp_path)
    assert refused.returncode == 2
    assert said in refused.stderr


def test_who_hangs_at_the_end_is_told_of_and_the_end_is_no_success(project: Path) -> None:
    workers = Workers(project, "servicer:Pay", "--workers", "2", "--drain-timeout", "0.1")
    hangs = min(workers.pids)
    os.kill(hangs, signal.SIGSTOP)
    assert workers.stop() == 1
    assert workers.count(f"Worker {hangs} hangs, and is killed.") == 1


def test_a_first_worker_that_ends_without_a_word_is_told_of(project: Path) -> None:
    (project / "leaves.py").write_text("import os\nos._exit(0)\n")
    run = run_paycli("serve", "leaves:Pay", "--workers", "2", "--port", "0", cwd=project)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "The first worker ended with 0 before it was ready.\n"
