"""The way of log lines out of the process: whoever reads them never holds a call up.

A pipe whose reader is slow makes its writer wait. So a thread of its own writes, some lines at once;
when too many wait, lines are dropped, and the log says how many.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final

from paycli.host.observation.log_lines import Lines, MakeLine

_WAITING_MAX: Final = 20_000
# A thread that wakes for each line takes turns with the calls: a tenth of their rate, at 50 a second.
_GATHER_S: Final = 0.1
_GOODBYE_S: Final = 2.0

_log = logging.getLogger(__name__)


@contextmanager
def logging_to(descriptor: int, lines: Lines, level: int) -> Iterator[LogWriter]:
    """All logs of the process go there as these lines until the block ends, and what Python itself says."""
    writer = LogWriter(descriptor, lines)
    root = logging.getLogger()
    before = root.level
    root.addHandler(writer)
    root.setLevel(level)
    hooks = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = _of_thread, _of_nobody
    logging.captureWarnings(capture=True)
    try:
        yield writer
    finally:
        logging.captureWarnings(capture=False)
        threading.excepthook, sys.unraisablehook = hooks
        root.removeHandler(writer)
        root.setLevel(before)
        writer.end()


def _of_thread(problem: threading.ExceptHookArgs) -> None:
    if problem.exc_value is not None and problem.exc_type is not SystemExit:
        name = problem.thread.name if problem.thread is not None else "that is gone"
        _log.error("the thread %s failed", name, exc_info=problem.exc_value)


def _of_nobody(problem: sys.UnraisableHookArgs) -> None:
    """An error that has no caller, as that of a __del__."""
    said = problem.err_msg or "an error was ignored in"
    _log.error("%s %r", said, problem.object, exc_info=problem.exc_value)


class LogWriter(logging.Handler):
    """A handler that never waits and never raises."""

    def __init__(self, descriptor: int, lines: Lines) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._form = lines
        self._lines: deque[MakeLine] = deque()
        self._dropped = 0
        self._closed = False
        self._awake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record; without the lock of other handlers, for a deque needs none."""
        line = _made(partial(self._form.format, record))  # now, while it is known whose it is
        self.put(lambda: line)
        return True

    def put(self, line: MakeLine) -> None:
        """Take a line that is made when it is written."""
        if len(self._lines) >= _WAITING_MAX:
            self._dropped += 1
        else:
            self._lines.append(line)
        if not self._awake.is_set():
            self._awake.set()

    def end(self) -> None:
        """Write what is waiting, if somebody takes it soon.

        Not `close`: a servicer that configures logging anew closes the handlers of others, and lines of
        calls go on.
        """
        self._closed = True
        self._awake.set()
        self._thread.join(_GOODBYE_S)
        self.close()

    def _run(self) -> None:
        while not self._closed or self._lines:
            self._awake.wait()
            self._awake.clear()
            if not self._closed:
                time.sleep(_GATHER_S)
            self._write(self._taken())

    def _taken(self) -> str:
        lines = [_made(self._lines.popleft()) for _ in range(len(self._lines))]
        if self._dropped:
            lines.append(self._said_of_dropped())
        return "".join(f"{line}\n" for line in lines)

    def _said_of_dropped(self) -> str:
        dropped, self._dropped = self._dropped, 0
        said = f"{dropped} log lines were dropped: whoever reads them is too slow"
        return self._form.line(time.time(), "WARNING", __name__, said, {})

    def _write(self, text: str) -> None:
        left = memoryview(text.encode("utf-8", "backslashreplace"))
        with suppress(OSError):  # nobody is there to read
            while left:
                left = left[os.write(self._descriptor, left) :]


def _made(line: MakeLine) -> str:
    try:
        return line()
    except Exception as problem:  # noqa: BLE001 - no call fails because of its log
        return f"a log line could not be written: {problem!r}"
