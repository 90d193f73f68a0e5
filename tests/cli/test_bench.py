"""`paycli bench` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Server, run_paycli

SHORT = ("--duration", "0.6", "--warm-up", "0.1", "--concurrency", "4")
LIST = ("--method", "ListPayments", '{order_id: "o-${n}"}')


def test_a_server_of_our_own_is_paid() -> None:
    ran = run_paycli("bench", *SHORT, "--json", "--processes", "2", "--baseline")
    assert (ran.returncode, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert told["format"] == "paycli-bench/1"
    assert told["statuses"] == {"OK": told["calls"]}
    assert told["ok"] == sum(each["count"] for each in told["histogram"]) > 0
    assert told["config"]["is_own_server"]
    assert told["config"]["loader"] == "frames"
    ratio = told["baseline"]["rate_to_echo"]
    assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"]
    assert len(told["generators"]["cpu_shares"]) == 2


def test_a_target_is_told_that_it_is_paid(server: Server) -> None:
    ran = run_paycli("bench", "--target", server.target, *SHORT)
    assert ran.returncode == 0
    assert ran.stderr.startswith("These are real payments: calls of payment.PaymentService")
    assert "4 callers" in ran.stdout
    assert "p99.9" in ran.stdout


def test_any_method_with_a_template(server: Server) -> None:
    ran = run_paycli("bench", "--target", server.target, *SHORT, *LIST, "--json")
    assert ran.stderr.startswith("Calls of paycli.payments.v1.Payments/ListPayments")
    told = json.loads(ran.stdout)
    assert told["statuses"] == {"OK": told["calls"]}


def test_a_stream_goes_by_grpcio_and_its_end_is_what_is_measured(server: Server) -> None:
    watch = ("--method", "WatchEvents", "--timeout", "0.3", "{}", "--json")
    ran = run_paycli("bench", "--target", server.target, *SHORT, *watch)
    assert ran.returncode == 1, ran.stderr
    told = json.loads(ran.stdout)
    assert told["config"]["why_grpcio"] == "a stream"
    assert told["statuses"].keys() == {"DEADLINE_EXCEEDED"}


def test_batches() -> None:
    told = json.loads(run_paycli("bench", *SHORT, "--batch", "7", "--json").stdout)
    assert told["config"]["payments_per_call"] == 7
    assert told["statuses"] == {"OK": told["calls"]}


def test_growth() -> None:
    told = json.loads(run_paycli("bench", *SHORT, "--growth", "10", "--json").stdout)
    stored = [each["stored"] for each in told["growth"]]
    assert len(stored) == 3
    assert stored[0] == 10
    assert stored[2] >= 1000


def test_thresholds_and_an_earlier_run(tmp_path: Path) -> None:
    first = run_paycli("bench", *SHORT, "--json", "--fail-if", "rate < 1")
    assert first.returncode == 0
    (tmp_path / "first.json").write_text(first.stdout)
    again = run_paycli(
        "bench", *SHORT, "--compare", tmp_path / "first.json", "--fail-if", "p50 > 0us"
    )
    assert "compared" in again.stdout
    assert again.returncode == 1
    assert "p50 is " in again.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rate", "5", "--concurrency", "2"), "--rate and --concurrency do not go together"),
        (("--rate", "5", "--growth", "10"), "--rate and --growth"),
        (("--rate", "5", "--baseline"), "--baseline and --rate"),
        (("--growth", "10", "--baseline"), "--baseline and --growth"),
        (("--growth", "10", "--target", "localhost:1"), "without --target"),
        (("--growth", "10", "--compare", "x"), "--compare and --growth"),
        (("--batch", "2", "--method", "M"), "--batch and --method"),
        (("--batch", "2", "{}"), "--batch and DATA"),
        (("--fail-if", "p99"), "is no threshold"),
        (("--fail-if", "p98 > 1ms"), "nothing is called 'p98'"),
        (("--compare", "nothing.json"), "nothing.json"),
        (("--duration", "nan"), "nan is not a number of seconds"),
        (("--processes", "0"), "--processes"),
        (("--method", "X", "-I", "nowhere"), "nowhere"),
        (("--descriptor-set", "nothing.pb", "--method", "X"), "nothing.pb"),
        (("{amount: ",), "DATA"),
        (("{amuont: 1}",), "amuont"),
        (("{order_id: '${nothing}'}",), "nothing fills"),
    ],
)
def test_each_mistake_is_a_sentence(words: tuple[str, ...], said: str) -> None:
    ran = run_paycli("bench", *words)
    assert ran.returncode == 2, ran.stderr
    assert ran.stdout == ""
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_load_goes_where_a_line_says_and_nowhere_else() -> None:
    outside = {"PAYCLI_TARGET": "payments.example:443", "PAYCLI_TOKEN": "secret"}
    told = json.loads(run_paycli("bench", *SHORT, "--json", env=outside).stdout)
    assert told["config"]["is_own_server"]


def test_nobody_at_the_target() -> None:
    assert (
        run_paycli("bench", "--target", "localhost:1", *SHORT, "--timeout", "0.2").returncode == 3
    )


def test_ctrl_c_ends_it_with_what_it_saw(server: Server) -> None:
    words = ["bench", "--target", server.target, "--duration", "60", "--warm-up", "0", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()
        time.sleep(1.5)  # its generators have begun by then, or end before they do
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    told = json.loads(out)
    assert told["is_interrupted"]
    assert told["ok"] > 0
    assert told["seconds"] < 30


def test_a_service_that_dies_in_the_middle_fails_the_run(server: Server) -> None:
    words = ["bench", "--target", server.target, "--duration", "4", "--warm-up", "0", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(2.5)  # it has begun by then
        server.stop(signal.SIGKILL)
        out, said = process.communicate(timeout=30)
    assert json.loads(out)["ok"] > 0
    assert process.returncode == 1
    assert "No call was answered after " in said


def test_its_page(tmp_path: Path) -> None:
    page = tmp_path / "pages" / "bench.html"
    run = run_paycli("bench", "--duration", "0.5", "--warm-up", "0", "--report", page)
    assert run.returncode == 0, run.stderr
    text = page.read_text()
    assert "<svg" in text
    assert "payment.PaymentService/ProcessPayment" in text
