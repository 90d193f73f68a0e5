"""Where a signal may break in."""

from __future__ import annotations

import subprocess
import sys

# The lock is taken by C, which sends the signal meanwhile: it arrives at the first moment after.
_LOCKING = """
import os, threading, time
from functools import partial
from types import SimpleNamespace
from paycli.cli.interrupts import termination_as_interrupt

lock = SimpleNamespace(
    __enter__=partial(os.kill, os.getpid(), 2),
    __exit__=partial(print, "given back"),
    acquire=None, release=None,
)
try:
    with termination_as_interrupt(), threading.Condition(lock):
        time.sleep(20)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_lock_that_was_taken_is_given_back() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _LOCKING], capture_output=True, text=True, check=False, timeout=30
    )
    given, interrupted = run.stdout.splitlines()
    assert given.startswith("given back")
    assert interrupted == "interrupted"
    assert run.stderr == ""
