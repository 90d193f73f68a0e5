"""`paycli` on a terminal: what somebody sees there, and what is typed."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path

# The terminal is made the one that Ctrl-C comes from, which only the process itself can do.
_ON_IT = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execv(sys.executable, [sys.executable, '-m', 'paycli', *sys.argv[1:]])"
)


class Terminal:
    """Where a command runs; `shown` is all that came so far."""

    def __init__(self, end: int, process: subprocess.Popen[bytes]) -> None:
        self._end = end
        self.process = process
        self.shown = ""

    def wait_for(self, pattern: str) -> None:
        """Until it is shown; pytest ends what hangs."""
        while not re.search(pattern, self.shown):
            assert self._read(), self.shown

    def ctrl_c(self) -> None:
        """As somebody presses it."""
        os.write(self._end, b"\x03")

    def code(self) -> int:
        """The exit code, once it has ended and all of it is shown."""
        while self._read():
            pass
        return self.process.wait(60)

    def lines(self) -> list[str]:
        """As they stand there at the end; the last one is where the cursor is."""
        return [line.rpartition("\r")[2] for line in self.shown.replace("\r\n", "\n").split("\n")]

    def _read(self) -> bool:
        try:
            read = os.read(self._end, 65536)
        except OSError:  # nobody is at its other end any more
            return False
        self.shown += read.decode()
        return bool(read)


@contextmanager
def on_terminal(
    *words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Run it there, until the end of the block."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    surroundings = {**os.environ, "TERM": "xterm", **(env or {})}
    with subprocess.Popen(
        [sys.executable, "-c", _ON_IT, *map(str, words)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env=surroundings,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            yield Terminal(ours, process)
        finally:
            process.kill()
            os.close(ours)
