"""How often Python looks for garbage in our processes."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc, sys
from paycli import __main__
from paycli.cli import app, event_loop

async def serving():
    print(gc.get_threshold()[0], gc.get_freeze_count() > 10_000)

def run_main():
    print(gc.get_threshold()[0], gc.get_freeze_count() > 10_000)
    event_loop.run(serving())

app.main = run_main
__main__.main()
"""


def test_a_command_is_not_searched_while_it_loads_nor_a_server_in_what_it_has_loaded() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert run.stdout.splitlines() == ["100000 False", "2000 True"]
