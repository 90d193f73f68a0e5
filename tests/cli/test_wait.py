"""`paycli wait` as scripts and health checks use it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.client import odd_service
from tests.conftest import Server, StartServer, run_paycli
from tests.host.test_metrics import free_port


def test_it_says_when_the_service_serves(server: Server) -> None:
    for arguments in ((), ("--timeout", "0"), ("--service", "payment.PaymentService")):
        ran = run_paycli("wait", "--target", server.target, *arguments)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.endswith(f" at {server.target} serves.\n")
    ran = run_paycli("wait", "--json", "--timeout", "0", "--target", server.target)
    assert json.loads(ran.stdout) == {"target": server.target, "service": "", "status": "SERVING"}


def test_it_waits_for_a_server_that_starts(start_server: StartServer) -> None:
    port = free_port()
    line = [sys.executable, "-m", "paycli", "wait", "--target", f"localhost:{port}"]
    with subprocess.Popen(
        [*line, "--timeout", "100"], stdout=subprocess.PIPE, text=True
    ) as waiting:
        time.sleep(1)
        assert waiting.poll() is None
        start_server(port=port)
        assert waiting.communicate()[0] == f"The service at localhost:{port} serves.\n"
    assert waiting.returncode == 0


@pytest.mark.parametrize(
    "command",
    [("pay", "--amount", "1"), ("smoke", "configs/smoke/01-contract.yaml")],
    ids=lambda it: it[0],
)
def test_who_sends_something_may_wait_for_it_too(
    start_server: StartServer, command: tuple[str, ...]
) -> None:
    port = free_port()
    line = [sys.executable, "-m", "paycli", *command, "--target", f"localhost:{port}"]
    with subprocess.Popen([*line, "--wait", "100"], stdout=subprocess.PIPE) as waiting:
        time.sleep(1)
        assert waiting.poll() is None
        start_server(port=port)
        waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    gone = run_paycli(*command, "--target", f"localhost:{free_port()}", "--wait", "0.5")
    assert gone.returncode == 3, gone.stderr


@pytest.mark.parametrize("timeout", ["0", "0.5"])
def test_each_end_has_its_code(server: Server, timeout: str) -> None:
    nowhere = run_paycli("wait", "--timeout", timeout, "--target", f"localhost:{free_port()}")
    assert (nowhere.returncode, nowhere.stdout) == (3, ""), nowhere.stderr
    assert "nothing listens there" in nowhere.stderr
    unknown = run_paycli(
        "wait", "--json", "--timeout", timeout, "--target", server.target, "--service", "a.B"
    )
    assert (unknown.returncode, unknown.stdout) == (1, ""), unknown.stderr
    error = json.loads(unknown.stderr)["error"]
    assert (error["reason"], error["metadata"]["status"]) == ("NOT_SERVING", "SERVICE_UNKNOWN")


def test_without_a_health_service_it_says_so() -> None:
    with odd_service.service(odd_service.never) as target:
        ran = run_paycli("wait", "--target", target)
        assert ran.returncode == 0, ran.stderr
        assert "it has no health service" in ran.stdout
        asked = run_paycli("wait", "--target", target, "--service", "payment.PaymentService")
    assert asked.returncode == 1
    assert "has no health service to ask about payment.PaymentService" in asked.stderr


def test_it_gets_in_as_every_client_does(start_server: StartServer, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    pair = authority.sign("pay.example")
    server = start_server("--tls-cert", str(pair.certificate), "--tls-key", str(pair.key))
    known = {"PAYCLI_CA": str(authority.certificate), "PAYCLI_SERVER_NAME": "pay.example"}
    ran = run_paycli("wait", "--timeout", "0", "--target", server.target, env=known)
    assert ran.returncode == 0, ran.stderr
    ran = run_paycli("wait", "--timeout", "1", "--target", server.target)
    assert ran.returncode == 3
    assert "Add --tls." in ran.stderr


def test_a_wrong_use_is_told_at_once() -> None:
    for arguments in (("--timeout", "-1"), ("--timeout", "nan"), ("--target", "here")):
        ran = run_paycli("wait", *arguments)
        assert ran.returncode == 2, arguments
        assert ran.stderr.startswith("Error: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait(number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        line = [sys.executable, "-m", "paycli", "wait", "--target", target, "--timeout", "100"]
        with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as waiting:
            stream, _ = silent.accept()
            with stream:  # it waits for an answer by now
                waiting.send_signal(number)
                assert waiting.communicate()[1] == ""
    assert waiting.returncode == 130
