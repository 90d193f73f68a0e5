"""The root command: what holds for every command line and every kind of stdout."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from paycli.cli.app import COMMANDS
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


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("pay", "--help"), ("db", "verify", "--help"), ("--version",), ("db",)],
)
def test_a_full_disk_is_said_in_one_sentence(arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        shown = subprocess.run(
            [sys.executable, "-m", "paycli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (shown.returncode, shown.stderr) == (
        1,
        "Error: Cannot write the result: No space left on device.\n",
    )


def test_a_reader_that_has_enough_ends_it_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    shown = subprocess.run(
        [sys.executable, "-m", "paycli", "--help"], stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert (shown.returncode, shown.stderr) == (1, b"")


def test_nobody_who_hears_what_is_said_changes_nothing(server: Server) -> None:
    command = ("pay", "--amount", "5", "--order-id", "o", "--target", server.target)
    run_paycli(*command)
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        again = subprocess.run(
            [sys.executable, "-m", "paycli", *command], stdout=subprocess.PIPE, stderr=full
        )
    assert (again.returncode, again.stdout.count(b"\n")) == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pa",), "No such command 'pa'. Did you mean 'pay'? See 'paycli --help'."),
        (("db", "nope"), "No such command 'nope'. See 'paycli db --help'."),
        (("pay", "--amount"), "Option '--amount' requires an argument. See 'paycli pay --help'."),
        (
            ("db", "verify", "--store"),
            "Option '--store' requires an argument. See 'paycli db verify --help'.",
        ),
        (
            ("--target", "h:1", "pay", "--amount", "5"),
            "Options stand after the command: paycli pay --amount 5 --target h:1",
        ),
        (("--show-completion", "csh"), "'csh' is no shell that completes; name bash, zsh, fish"),
    ],
)
def test_wrong_usage_is_one_sentence_that_leads_on(arguments: tuple[str, ...], said: str) -> None:
    refused = run_paycli(*arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"Error: {said}")
    assert refused.stderr.count("\n") == 1


def test_an_option_before_the_command_is_led_behind_it() -> None:
    refused = run_paycli("--json", "pay", "--amount", "5")
    message = json.loads(refused.stderr)["error"]["message"]
    assert message == "Options stand after the command: paycli pay --amount 5 --json"


def test_a_group_alone_shows_its_help_and_all_of_each_description() -> None:
    alone = run_paycli("db")
    assert (alone.returncode, alone.stderr) == (0, "")
    words = " ".join(alone.stdout.split())
    assert words.startswith("Usage: paycli db ")
    assert "exit 1 at the first that is wrong." in words
    assert "..." not in words.partition("Commands:")[2]


def test_options_say_what_they_take_in_words_of_ours() -> None:
    for command in COMMANDS:
        shown = run_paycli(command, "--help").stdout
        assert " range>" not in shown
    assert "--timeout SECONDS" in run_paycli("pay", "--help").stdout


@pytest.mark.parametrize("shell", ["zsh", "fish", "bash"])
def test_completion_is_shown_for_the_shell_that_is_named(shell: str) -> None:
    shown = run_paycli("--show-completion", shell)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"complete_{shell}" in shown.stdout


@pytest.mark.parametrize("settings", [{}, {"PYTHONUTF8": "0"}])
def test_an_order_that_the_locale_cannot_write_is_paid(
    server: Server, settings: dict[str, str]
) -> None:
    paid = run_paycli(
        *("pay", "--amount", "5", "--order-id", "caf\u00e9", "--target", server.target, "--json"),
        env={"LC_ALL": "C", **settings},
    )
    assert paid.returncode == 0, paid.stderr
    with contextlib.closing(sqlite3.connect(server.store)) as connection:
        assert connection.execute("SELECT order_id FROM payment").fetchone() == ("caf\u00e9",)


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


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("wait", "--timeout", "0", "--target", "a..b:1"), 3),
        (("pay", "--amount", "1", "--target", f"{'x' * 70}.de:1"), 3),
        (("serve", "--port", "0", "--allow-unprotected", "--host", "a..b"), 1),
        (("payments", "get", "\udcff", "--target", "{target}"), 2),
        (("payments", "list", "--order-id", "\udcff", "--target", "{target}"), 2),
        (("wait", "--service", "\udcff", "--target", "{target}"), 2),
        (("pay", "--amount", "1", "--idempotency-key", "", "--target", "{target}"), 2),
        (("payments", "void", "x", "--idempotency-key", "", "--target", "{target}"), 2),
        (("pay", "--amount", "1", "-H", "content-type: x", "--target", "{target}"), 2),
        (("pay", "/dev/zero"), 2),
        (("pay", "--amount", "1", "--token", "@/dev/zero"), 2),
    ],
)
def test_what_nobody_means_is_one_sentence(
    server: Server, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    line = [each.replace("{target}", server.target) for each in words]
    run = run_paycli(*line, cwd=tmp_path)
    assert (run.returncode, run.stdout) == (code, ""), run.stderr
    assert run.stderr.startswith("Error: ")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("serve", "--store", ""), "--store is empty; give it a value, or leave it out."),
        (("serve", "--tls-cert=", "--tls-key=x"), "--tls-cert is empty; "),
        (("serve", "--config", ""), "--config is empty; "),
        (("serve", ""), "MODULE:SERVICER is empty; "),
        (("pay", "a.yaml", ""), "FIXTURE.YAML is empty; "),
        (("gen", "-I", "proto", "-I", ""), "-I is empty; "),
        (("proxy", "--to", "localhost:1", "--chaos", ""), "--chaos is empty; give it a value.\n"),
        (("payments", "void", ""), "PAYMENT is empty; give it a value.\n"),
        (("db", "backup", ""), "FILE is empty; give it a value.\n"),
        (("db", "verify", "--since", ""), "'' is not an anchor; "),
    ],
)
def test_a_shells_variable_that_is_not_set_is_told(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    run = run_paycli(*words, cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"Error: {said}")
    assert not list(tmp_path.iterdir())


def test_a_working_directory_that_is_gone_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = "import os, sys; os.rmdir(os.getcwd()); os.execv(sys.executable, sys.argv[1:])"
    line = [sys.executable, sys.executable, "-m", "paycli", "doctor"]
    run = subprocess.run(
        [sys.executable, "-c", program, *line[1:]], cwd=gone, capture_output=True, text=True
    )
    assert "Traceback" not in run.stderr
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)


def test_ctrl_c_while_it_loads_ends_it_without_a_word() -> None:
    program = (
        "import os, signal, sys\n"
        "class CtrlC:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, CtrlC())\n"
        "from paycli.__main__ import main\n"
        "main()\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert (run.returncode, run.stdout, run.stderr) == (-signal.SIGINT, b"", b"")
