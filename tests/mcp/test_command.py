"""`paycli mcp` as a process: its options, its streams, its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import Server, run_paycli

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "a test", "version": "1"},
    },
}
ORDER = {"order_id": "o", "amount": "1", "currency": "EUR", "customer_id": "sim_slow_1000"}
PAY = {
    "jsonrpc": "2.0",
    "id": 2,
    "method": "tools/call",
    "params": {"name": "pay", "arguments": ORDER},
}


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A `paycli mcp` that was greeted and has answered."""
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", "mcp", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            say(process, HELLO)
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["id"] == 1
            yield process
        finally:
            process.kill()


def say(process: subprocess.Popen[str], message: object) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{json.dumps(message)}\n")
    process.stdin.flush()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--limit", "EUR=1"), "say --allow-payments too"),
        (("--allow-payments", "--limit", "100"), "'100' is no limit; write CURRENCY=AMOUNT"),
        (("--allow-payments", "--limit", "EUR=1,5"), "'1,5' is not an amount"),
        (("--allow-payments", "--limit", "EUR=0"), "not positive"),
        (("--allow-payments", "--limit", "EUR=nan"), "not a finite number"),
        (("--allow-payments", "--limit", "eur=1"), "write EUR in upper case"),
        (("--allow-payments", "--limit", "=1"), "currency is missing"),
        (("--allow-payments", "--limit", "EUR=1", "--limit", "EUR=2"), "EUR has two limits"),
    ],
)
def test_a_limit_that_says_nothing_is_refused(words: tuple[str, ...], said: str) -> None:
    refused = run_paycli("mcp", *words)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_missing_extra_is_a_sentence_with_the_command() -> None:
    program = "import sys; sys.modules['mcp'] = None; from paycli.cli.app import main; main()"
    refused = subprocess.run(
        [sys.executable, "-c", program, "mcp"], capture_output=True, text=True, timeout=60
    )
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "run pip install 'paycli[mcp]'." in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_it_ends_with_its_stdin() -> None:
    with started() as process:
        shown, said = process.communicate(timeout=20)
    assert (process.returncode, shown, said) == (0, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    with started() as process:
        process.send_signal(number)
        assert process.wait(20) == 130
        shown, said = process.communicate()
    assert (shown, said) == ("", "")


def test_a_client_that_went_away_ends_it() -> None:
    with started() as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_what_was_begun_is_ended_first(server: Server) -> None:
    with started("--allow-payments", "--limit", "EUR=1", "--target", server.target) as process:
        say(process, PAY)
        while not server.payments_in_flight():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 130
    listed = run_paycli("payments", "list", "--target", server.target)
    assert json.loads(listed.stdout)["state"] == "CAPTURED"


def test_lines_that_are_no_messages_harm_nothing() -> None:
    with started() as process:
        for each in ("no JSON", "[]", "{}", '"' + "x" * 100_000, "\x00\x1b"):
            assert process.stdin is not None
            process.stdin.write(f"{each}\n")
        say(process, {"jsonrpc": "2.0", "id": 7, "method": "tools/list"})
        assert process.stdout is not None
        answers = [json.loads(process.stdout.readline())]
        while answers[-1].get("id") != 7:
            answers.append(json.loads(process.stdout.readline()))
    assert [each["name"] for each in answers[-1]["result"]["tools"]] == ["get", "list", "settle"]
