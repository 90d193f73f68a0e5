"""The root command: what holds for every command line and every kind of stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Server, StartServer, run_paycli


def test_nothing_at_all_is_answered_with_the_help() -> None:
    alone = run_paycli()
    assert (alone.returncode, alone.stderr) == (0, "")
    assert alone.stdout.startswith("Usage: paycli ")


@pytest.mark.parametrize("seconds", ["nan", "inf", "-inf", "1e300", "-1", "soon"])
@pytest.mark.parametrize(
    "command",
    [
        ("serve", "--drain-timeout"),
        ("serve", "--authorization-ttl"),
        ("serve", "--processor-timeout"),
        ("pay", "--amount", "5", "--timeout"),
    ],
)
def test_a_number_of_seconds_is_finite(
    command: tuple[str, ...], seconds: str, tmp_path: Path
) -> None:
    refused = run_paycli(*command, seconds, cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"Error: Invalid value for '{command[-1]}'")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_a_terminal_without_the_letters_gets_the_receipt_escaped(
    server: Server, tmp_path: Path, as_json: bool
) -> None:
    fixture = tmp_path / "f.yaml"
    fixture.write_text("payments: [{order_id: café, amount: 5, currency: EUR}]", encoding="utf-8")
    wanted = ("--json",) if as_json else ()
    paid = run_paycli(
        "pay", fixture, "--target", server.target, *wanted, env={"PYTHONIOENCODING": "ascii"}
    )
    assert paid.returncode == 0, paid.stderr
    assert "caf\\xe9" in paid.stdout


def test_an_argument_that_is_no_text_is_refused(server: Server) -> None:
    paid = subprocess.run(
        [sys.executable, "-m", "paycli", "pay", "--amount", "5", "--order-id", b"\xff"],
        env={**os.environ, "PAYCLI_TARGET": server.target},
        capture_output=True,
    )
    assert paid.returncode == 2, paid.stderr
    assert paid.stderr == b"Error: order_id holds a control character; send printable text.\n"


def test_a_full_disk_is_said_in_one_sentence(server: Server) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        paid = subprocess.run(
            [sys.executable, "-m", "paycli", "pay", "--amount", "5", "--target", server.target],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (paid.returncode, paid.stderr) == (
        1,
        "Error: Cannot write the result: No space left on device.\n",
    )


def test_a_reader_that_has_enough_ends_it_quietly(server: Server, tmp_path: Path) -> None:
    fixture = tmp_path / "f.yaml"
    fixture.write_text("payments: [{order_id: '${n}', amount: 5, currency: EUR, repeat: 5000}]")
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", "pay", str(fixture), "--target", server.target],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as paying:
        assert paying.stdout is not None
        assert paying.stderr is not None
        assert paying.stdout.readline().startswith("SUCCESS")
        paying.stdout.close()
        assert (paying.wait(20), paying.stderr.read()) == (1, "")


def test_a_server_whose_streams_the_caller_closed_stops_cleanly(start_server: StartServer) -> None:
    program = (
        "import os, sys; [os.close(number) for number in range(3)];"
        "os.execv(sys.executable, [sys.executable, '-m', 'paycli', *sys.argv[1:]])"
    )
    server = start_server(command=(sys.executable, "-c", program), says_ready=False)
    assert server.stop() == 0


def test_errors_as_json_are_one_object_also_for_wrong_usage() -> None:
    for arguments in (("pay", "--bogus"), ("pay", "--amount", "nan"), ("nonsense",)):
        refused = run_paycli(*arguments, "--json")
        assert (refused.returncode, refused.stdout) == (2, "")
        error = json.loads(refused.stderr)["error"]
        assert error["exit_code"] == 2
        assert error["message"]
