"""Each fault of a server is caught, by name: by a step of the suites, or by the proof by crash."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paycli.scenarios.crash.history import Check
from tests.broken_servers import between, simple
from tests.conftest import run_paycli

BY_CRASH = {
    "forgets at restart": Check.ONE,
    "acknowledges before the commit": Check.ONE,
    "knows no payment again": Check.ONE,
    "dies in mid-call": Check.ANSWERS,
    "rounds": Check.SAME,
    "says OK": Check.ANSWERS,
    "lists one too few": Check.LIST,
    "is off by a cent": Check.BOOKS,
    "lies about its health": Check.ANSWERS,
    "is slow": Check.ANSWERS,
}
BY_SUITES = {
    "knows no payment again": "04-resilience: a payment sent one time after the other is one",
    "rounds": "02-money: and their sum is exact",
    "says OK": "01-contract: a payment is answered with an id and SUCCESS",
    "lists one too few": "04-resilience: no two of them are on record",
    "is off by a cent": "02-money: and their sum is exact",
    "lies about its health": "01-contract: a payment is answered with an id and SUCCESS",
}


def command(fault: str, folder: Path, port: str = "{port}") -> list[str]:
    return [sys.executable, "-m", "tests.broken_servers", fault, port, str(folder)]


def failed(stdout: str) -> set[str]:
    found = [json.loads(line) for line in stdout.splitlines()]
    steps = [each for each in found if each.get("verdict") == "failed"]
    return {f"{each['suite']}: {each['step']}" for each in steps}


def test_the_tables_have_every_fault() -> None:
    assert {*simple.FAULTS, *between.FAULTS} == {"none", *BY_CRASH}


@pytest.mark.parametrize("fault", ["none", *BY_CRASH])
def test_by_crash(tmp_path: Path, fault: str) -> None:
    line = shlex.join(command(fault, tmp_path)).replace("'{port}'", "{port}")
    rounds = "2" if fault == "none" else "1"
    how = ("--command", line, "--rounds", rounds, "--seed", "7")
    run = run_paycli("smoke", "--crash", *how, "--json")
    checks = {each.partition(": round ")[2][3:] for each in failed(run.stdout)}
    if fault == "none":
        assert (run.returncode, checks) == (0, set()), run.stdout
    else:
        assert run.returncode == 1, run.stderr
        assert BY_CRASH[fault] in checks, run.stdout


@contextmanager
def running(fault: str, folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with subprocess.Popen(command(fault, folder, port)) as process:
        try:
            assert (
                run_paycli("wait", "--target", f"localhost:{port}", "--timeout", "30").returncode
                == 0
            )
            yield f"localhost:{port}"
        finally:
            process.terminate()


@pytest.mark.parametrize("fault", ["none", *BY_SUITES])
def test_by_suites(tmp_path: Path, fault: str) -> None:
    names = ("contract", "money", "payments", "resilience")
    with running(fault if fault != "none" else "nothing at all", tmp_path) as target:
        run = run_paycli("smoke", *names, "--target", target, "--json", "--timeout", "2")
    if fault == "none":
        assert (run.returncode, failed(run.stdout)) == (0, set()), run.stdout
    else:
        assert run.returncode == 1, run.stderr
        assert BY_SUITES[fault] in failed(run.stdout), run.stdout
