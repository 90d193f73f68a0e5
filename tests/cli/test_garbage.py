"""How often Python looks for garbage in our processes."""

from __future__ import annotations

import gc
import subprocess
import sys

PROGRAM = """
import gc, sys
from paycli import __main__
from paycli.cli import app, event_loop

async def serving():
    print(*gc.get_threshold())

def run_main():
    print(*gc.get_threshold())
    event_loop.run(serving())

app.main = run_main
__main__.main()
"""


def test_a_command_is_not_searched_while_it_loads_and_a_server_is_as_usual() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    usual = gc.get_threshold()
    assert run.stdout.splitlines() == [
        " ".join(map(str, (100_000, *usual[1:]))),
        " ".join(map(str, usual)),
    ]
