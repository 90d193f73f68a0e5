"""A process of one's own, which goes with us whatever happens.

It has a terminal of its own, whose other end is held here and by nobody else: when this process ends,
be it by kill -9, the kernel hangs the terminal up, and SIGHUP stops the other. Where the system has no
terminal to give, only kill -9 leaves it behind. Its folder goes by a shell that waits for our end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from paycli.errors import StartError

_STOP_TIMEOUT_S: Final = 15.0
_TAIL_LINES: Final = 10
_GATHERED_S: Final = 0.2  # it writes its lines many at once
_PATIENCE: Final = 20
_TAIL_LINE_MAX: Final = 1_000
_TAIL_BYTES: Final = _TAIL_LINES * _TAIL_LINE_MAX
_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# It leads a session of its own by now: Ctrl-C is for us, who stop it in our own order, and so is nohup.
_BEGIN: Final = """
import fcntl, os, signal, sys, termios
terminal, words = int(sys.argv[1]), sys.argv[2:]
if terminal >= 0:
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    os.close(terminal)
for number in (signal.SIGHUP, signal.SIGPIPE):
    signal.signal(number, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, ())
os.execvp(words[0], words)
"""

# More than once: a server may still be ending, and make a file meanwhile.
_TIDY: Final = 'read -r _; for pause in 0 1 5; do sleep $pause; rm -rf -- "$1"; done'


@contextmanager
def endings_wait() -> Iterator[None]:
    """Let no signal come between the birth of a process or a folder and our knowing of it."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """It goes with the run, also when kill -9 ends us. Raises StartError."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="paycli-")
    except OSError as problem:
        raise StartError(
            f"There is no folder for the server of this run: {problem.strerror}."
        ) from problem
    with _tidied_after_us(folder.name), folder:
        yield Path(folder.name)


@contextmanager
def _tidied_after_us(folder: str) -> Iterator[None]:
    """A shell that reads from us: when its input ends before we end the shell, nobody else is left to tidy."""
    try:
        # A session of its own: Ctrl-C and a closed window are for us.
        shell = subprocess.Popen(
            ["/bin/sh", "-c", _TIDY, "paycli-tidy", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
    except OSError:  # an image without a shell
        shell = None
    try:
        yield
    finally:
        if shell is not None:
            shell.kill()
            with shell:
                pass


def start(
    words: Sequence[str], log: Path, stack: ExitStack, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start it in a session and group of its own; the stack stops it. What it says goes to the log.

    Raises StartError.
    """
    if shutil.which(words[0]) is None:
        raise StartError(f"{words[0]} cannot be started: there is no such command.")
    terminal = _terminal(stack)
    # No preexec_fn: a fork that runs Python beside the threads of grpc aborts now and then.
    begin = [sys.executable, "-I", "-S", "-c", _BEGIN, str(-1 if terminal is None else terminal)]
    try:
        with log.open("ab") as stream:
            process = subprocess.Popen(
                [*begin, *words],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
                pass_fds=() if terminal is None else (terminal,),
            )
    except (OSError, ValueError) as problem:  # a NUL in a word
        why = problem.strerror if isinstance(problem, OSError) else str(problem)
        raise StartError(f"{words[0]} cannot be started: {why}.") from problem
    finally:
        if terminal is not None:
            os.close(terminal)
    stack.callback(_stop, process)
    return process


def _terminal(stack: ExitStack) -> int | None:
    """The server's end of a terminal whose other end is held until the stack unwinds."""
    try:
        ours, theirs = os.openpty()
    except OSError:  # a container without /dev/pts
        return None
    stack.callback(os.close, ours)
    return theirs


class Log:
    """What the server says, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._patience = _PATIENCE

    def tail(self) -> list[str]:
        """The last lines; of one that is too long, its end."""
        if self._patience:  # a run in which all goes wrong has an end, too
            self._patience -= 1
            time.sleep(_GATHERED_S)
        with self._path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL_BYTES))
            tail = stream.read().decode("utf-8", "replace")
        return [line[-_TAIL_LINE_MAX:] for line in tail.rstrip().splitlines()[-_TAIL_LINES:]]


def said(log: Path) -> str:
    """All of it."""
    return log.read_text(encoding="utf-8", errors="replace").strip()


def kill(process: subprocess.Popen[bytes]) -> None:
    """At once (-9), with all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.terminate()
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        pass
    finally:  # a second Ctrl-C comes here at once
        kill(process)
