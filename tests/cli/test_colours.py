"""Red is for what alarms, where a person sees it, and for nothing and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Server, run_paycli
from tests.terminals import on_terminal

RED = "\x1b[31m"
FIXTURE = """
payments:
  - {order_id: a, amount: 1, currency: EUR}
  - {order_id: b, amount: 1, currency: EUR, user_id: sim_decline_lost_card}
"""
SUITE = """
steps:
  - {name: right, call: payment.PaymentService/ProcessPayment, request: {order_id: o, amount: 1, currency: EUR}, expect: {status: SUCCESS}}
  - {name: wrong, call: payment.PaymentService/ProcessPayment, request: {order_id: o, amount: 1, currency: EUR}, expect: {status: FAILED}}
"""


@pytest.fixture
def commands(server: Server, tmp_path: Path) -> list[tuple[tuple[str, ...], str]]:
    """Command lines that fail, and what alarms in each."""
    (tmp_path / "f.yaml").write_text(FIXTURE)
    (tmp_path / "s.yaml").write_text(SUITE)
    to = ("--target", server.target)
    declined = ("--amount", "1", "--order-id", "d", "--user-id", "sim_decline_lost_card")
    return [
        (("pay", "f.yaml", *to), "FAILED"),
        (("pay", *declined, *to), "Declined:"),
        (("smoke", "s.yaml", *to), "FAIL"),
        (("pay", "--amount", "x", *to), "Error:"),
        (("pay", "settle", "d", *to), "declined"),
    ]


def test_on_a_terminal_what_alarms_is_red(
    commands: list[tuple[tuple[str, ...], str]], tmp_path: Path
) -> None:
    for words, alarm in commands:
        with on_terminal(*words, cwd=tmp_path, env={"NO_COLOR": ""}) as terminal:
            assert terminal.code() in (1, 2, 5), terminal.shown
        assert f"{RED}{alarm}\x1b[0m" in terminal.shown
        assert f"{RED}PASS" not in terminal.shown
        assert f"{RED}SUCCESS" not in terminal.shown


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"NO_COLOR": "0"}, {"TERM": "dumb"}])
def test_who_wants_no_colours_gets_none(
    commands: list[tuple[tuple[str, ...], str]], tmp_path: Path, env: dict[str, str]
) -> None:
    for words, alarm in commands:
        with on_terminal(*words, cwd=tmp_path, env=env) as terminal:
            terminal.code()
        assert alarm in terminal.shown
        assert "\x1b" not in terminal.shown


def test_pipes_and_json_have_none(
    commands: list[tuple[tuple[str, ...], str]], tmp_path: Path
) -> None:
    for words, alarm in commands:
        run = run_paycli(*words, cwd=tmp_path, env={"TERM": "xterm"})
        assert alarm in run.stdout + run.stderr
        assert "\x1b" not in run.stdout + run.stderr
        with on_terminal(*words, "--json", cwd=tmp_path) as terminal:
            terminal.code()
        assert not [each for each in terminal.lines() if "{" in each and "\x1b" in each]
