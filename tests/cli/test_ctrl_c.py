"""Ctrl-C on a terminal: the account is given, each line is whole, and the cursor begins a new one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.terminals import on_terminal
from tests.wire import client_of

ROWS = "order_id,amount,currency\n" + "".join(f"o-{n},1,EUR\n" for n in range(20_000))
STEP = (
    "call: payment.PaymentService/ProcessPayment, request: {order_id: o, amount: 1, currency: EUR}"
)
SUITE = f"""
steps:
  - {{name: quick, {STEP}, expect: {{status: SUCCESS}}}}
  - {{name: never, {STEP}, expect: {{status: FAILED}}, retry_until: {{timeout_s: 60}}}}
"""
EVENTS = "paycli.payments.v1.Payments/WatchEvents"


@pytest.mark.parametrize(
    ("words", "begun", "told"),
    [
        (("pay", "--from", "rows.csv", "--rate", "50"), "rows, ", r"[\d,]+ rows?: .* a second\)\."),
        (("smoke", "s.yaml"), "quick", r"1 passed, .* 1 not run against .*\."),
        (("watch", "--after", "0"), "CHARGED", ""),
        (("call", EVENTS, "{after_sequence: 0}"), "CHARGED", ""),
    ],
    ids=["pay", "smoke", "watch", "call"],
)
def test_it_leaves_the_terminal_clean(
    server: Server, tmp_path: Path, words: tuple[str, ...], begun: str, told: str
) -> None:
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "s.yaml").write_text(SUITE)
    with client_of(server.target) as client:
        client.pay("order-1")
    with on_terminal(*words, "--target", server.target, cwd=tmp_path) as terminal:
        terminal.wait_for(begun)
        terminal.ctrl_c()
        assert terminal.code() in (130, 5), terminal.shown  # 5: a payment was on its way
    *_, (interrupted, *after) = [
        terminal.lines()[at:] for at, line in enumerate(terminal.lines()) if "^C" in line
    ]
    assert interrupted.endswith("^C")
    assert after[-1] == ""
    assert "" not in after[:-1]
    assert not told or any(re.fullmatch(told, line) for line in after), terminal.shown
