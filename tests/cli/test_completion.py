"""What shells offer while a command line is typed, through their own protocols."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Server, run_paycli
from tests.host.test_metrics import free_port
from tests.wire import client_of, creation


def offered(line: str, cwd: Path, **env: str) -> list[str]:
    """What bash is told for the last word of a line, which may be empty. Nothing else is said."""
    words = ["paycli", *line.split(" ")]
    asked = {"_PAYCLI_COMPLETE": "complete_bash", "COMP_CWORD": str(len(words) - 1)}
    run = run_paycli(cwd=cwd, env={**asked, "COMP_WORDS": "\n".join(words), **env})
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.split()


def in_time(ask: Callable[[], list[str]]) -> list[str]:
    """The answer of a server, which is only waited for a moment; a busy machine takes longer."""
    until = time.monotonic() + 30
    while not (found := ask()) and time.monotonic() < until:
        pass
    return found


@pytest.mark.parametrize(
    "words", ["payments get", "payments capture", "payments refunds", "watch --payment"]
)
def test_payments_are_those_of_the_service_that_is_named(
    server: Server, tmp_path: Path, words: str
) -> None:
    with client_of(server.target) as client:
        name = client.call("CreatePayment", creation(order_id="o-1")).name
    command, *option = words.split(" --")
    line = " --".join([command, f"target {server.target}", *option]) + " "
    assert in_time(lambda: offered(line, tmp_path)) == [name.removeprefix("payments/")]
    assert offered(line + "pay_x", tmp_path) == []


def test_the_service_may_be_named_anywhere(server: Server, tmp_path: Path) -> None:
    with client_of(server.target) as client:
        client.call("CreatePayment", creation(order_id="o-1"))
    (tmp_path / "p.yaml").write_text(f"profiles: {{here: {{target: '{server.target}'}}}}")
    (tmp_path / "rows.csv.unknown.ndjson").touch()
    wanted = ["rows.csv.unknown.ndjson", "o-1"]
    joined = f"pay settle --target={server.target} "
    cut = joined.replace(":", " : ").replace("=", " = ")
    for line, env in (
        ("pay settle ", {"PAYCLI_TARGET": server.target}),
        ("pay settle --config p.yaml --profile here ", {}),
        (joined, {}),
        (cut, {}),  # as bash has it
    ):
        until = time.monotonic() + 30
        while (found := offered(line, tmp_path, **env)) != wanted:
            assert time.monotonic() < until, (line, found)


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("pay --currency EU", {"EUR"}),
        ("pay --currency = EU", {"EUR"}),
        ("call --target localhost:{free} Process", {"ProcessPayment"}),
        (
            "describe --target localhost:{free} paycli.payments.v1.Pay",
            {"paycli.payments.v1.Payment"},
        ),
        ("convert payment.", {"payment.PaymentRequest", "payment.PaymentResponse"}),
        ("smoke mine", {"mine.yaml"}),
        ("smoke ", {"import", "record", "mine.yaml"}),
        ("smoke record --desc", {"--descriptor-set"}),
        ("smoke mine.yaml -k ", {"quick", "slow"}),
        ("payments get --config p.yaml --profile ", {"here", "there"}),
        ("payments list --state cap", {"captured"}),
        ("pay settle --cur", {"--currency"}),
        ("db ver", {"verify"}),
        ("db co", {"copy"}),
        ("docs read", {"readme"}),
        ("pay se", {"settle", "sets.yaml"}),
    ],
)
def test_what_is_known_without_a_server(tmp_path: Path, line: str, some: set[str]) -> None:
    (tmp_path / "p.yaml").write_text("profiles: {here: {}, there: {}}")
    (tmp_path / "sets.yaml").touch()
    step = "name: a, call: payment.PaymentService/ProcessPayment, request: {}, expect: {}, tags: [slow]"
    (tmp_path / "mine.yaml").write_text(f"tags: [quick]\nsteps: [{{{step}}}]")
    assert some <= set(offered(line.format(free=free_port()), tmp_path))


@pytest.mark.parametrize(
    "line",
    [
        "payments get --target localhost:{free} ",
        "payments get --target nonsense ",
        "payments get --token @gone ",
        "payments get --config gone.yaml --profile ",
        "smoke p.yaml -k ",
        "call -I gone ",
        "pay --schema --amount ",
        "payments get --version --bogus '",
    ],
)
def test_what_goes_wrong_is_nobodys_business(tmp_path: Path, line: str) -> None:
    (tmp_path / "p.yaml").write_text("nonsense: [")
    assert offered(line.format(free=free_port()), tmp_path) == []
    assert [each.name for each in tmp_path.iterdir()] == ["p.yaml"]


def test_commands_are_offered_in_the_place_of_a_suite_alone(tmp_path: Path) -> None:
    assert not {"import", "record"} & set(offered("smoke money ", tmp_path))


def test_a_server_that_hangs_is_left_alone(server: Server, tmp_path: Path) -> None:
    server.process.send_signal(signal.SIGSTOP)
    try:
        assert offered(f"payments get --timeout 3600 --target {server.target} ", tmp_path) == []
    finally:
        server.process.send_signal(signal.SIGCONT)


def test_what_a_server_says_is_not_for_a_shell_to_run(server: Server, tmp_path: Path) -> None:
    orders = ["fine-1", "$(touch x)", "`touch x`", "a;b", "a b", "'", "*", "a\\b"]
    with client_of(server.target) as client:
        for each in orders:
            client.call("CreatePayment", creation(order_id=each))
    line = f"pay settle --target {server.target} "
    assert in_time(lambda: offered(line, tmp_path)) == ["fine-1"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_in_their_own_way(tmp_path: Path, shell: str) -> None:
    line = {"_TYPER_COMPLETE_ARGS": "paycli pay --currency EU"}
    action = {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_PAYCLI_COMPLETE": f"complete_{shell}"}
    run = run_paycli(cwd=tmp_path, env={**line, **action})
    assert "EUR" in run.stdout
    assert "GBP" not in run.stdout


def test_a_real_bash_completes(tmp_path: Path) -> None:
    program = tmp_path / "paycli"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m paycli "$@"\n')
    program.chmod(0o755)
    typed = (
        'eval "$(paycli --show-completion bash)"\n'
        "COMP_WORDS=(paycli pay --target localhost : 1 --currency EU) COMP_CWORD=7\n"
        '_paycli_completion paycli\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    run = subprocess.run(
        ["bash", "--norc", "-c", typed], env={**os.environ, **path}, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "EUR\n", "")
