"""A server of one's own: a real `paycli serve` process with a store that goes with it.

The server has a terminal of its own, whose other end is held here and by nobody else: when this
process ends, be it by kill -9, the kernel hangs the terminal up, and SIGHUP stops the server. Where
the system has no terminal to give, only kill -9 leaves the server behind.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from paycli.errors import StartError

_START_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 15.0
_DYING_S: Final = 1.0  # its connections end a little before it does
_POLL_S: Final = 0.01
_TAIL_LINES: Final = 10
_GATHERED_S: Final = 0.2  # it writes its lines many at once
_PATIENCE: Final = 20
_TAIL_LINE_MAX: Final = 1_000
_TAIL_BYTES: Final = _TAIL_LINES * _TAIL_LINE_MAX
_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class OwnServer:
    """A running server: where it listens and its process id.

    `last_words` says how it ended, with what it said at the end; "" while it runs. `log_tail` are the
    last lines that it said so far.
    """

    target: str
    pid: int
    last_words: Callable[[], str] = str
    log_tail: Callable[[], Sequence[str]] = tuple


@contextmanager
def own_server(
    store: Path | str | None = None, servicers: Sequence[str] = (), *, log_calls: bool = False
) -> Iterator[OwnServer]:
    """Start a server on a free port, with a temporary store unless one is named; always stop it.

    A store is a file, or a URL as `serve` takes it. With `servicers` (MODULE:SERVICER) it hosts those
    instead of the payment engine. With `log_calls` it says a line for each call. Raises StartError.
    """
    with ExitStack() as stack:
        with _endings_wait():
            folder = Path(stack.enter_context(_temporary_folder()))
            port_file, log = folder / "port", folder / "log"
            arguments = ["serve", *servicers, "--port", "0", "--port-file", str(port_file)]
            if not servicers:
                url = (
                    store if isinstance(store, str) else f"sqlite:///{store or folder / 'store.db'}"
                )
                arguments += ["--store", url]
            if log_calls:
                arguments.append("--log-calls")
            process = _start(arguments, log, stack)
        port = _wait_for_port(process, port_file, log)
        last_words = partial(_last_words, process, log)
        yield OwnServer(f"localhost:{port}", process.pid, last_words, _Log(log).tail)


@contextmanager
def _endings_wait() -> Iterator[None]:
    """Let no signal come between the birth of a process or a folder and our knowing of it."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="paycli-")
    except OSError as problem:
        raise StartError(
            f"There is no folder for the server of this run: {problem.strerror}."
        ) from problem


def _start(arguments: list[str], log: Path, stack: ExitStack) -> subprocess.Popen[bytes]:
    """Start `paycli` with a terminal of its own; the stack stops it, then closes that."""
    terminal = _terminal(stack)

    def begin() -> None:
        # Leader of its own session by now: Ctrl-C is for us, who stop it in our own order.
        if terminal is not None:
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup is for us, too
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)

    try:
        with log.open("wb") as stream:
            process = subprocess.Popen(
                # -P: a random.py where the user stands is not the random that we mean
                [sys.executable, "-P", "-m", "paycli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=_environment(),
                preexec_fn=begin,
            )
    except OSError as problem:
        raise StartError(f"The server for this run cannot start: {problem.strerror}.") from problem
    finally:
        if terminal is not None:
            os.close(terminal)
    stack.callback(_stop, process)
    return process


def _environment() -> dict[str, str]:
    """Ours without settings, which are for a server of the user's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAYCLI_")}
    return {**kept, "PAYCLI_CONFIG": os.devnull}


def _terminal(stack: ExitStack) -> int | None:
    """The server's end of a terminal whose other end is held until the stack unwinds."""
    try:
        ours, theirs = os.openpty()
    except OSError:  # a container without /dev/pts
        return None
    stack.callback(os.close, ours)
    return theirs


def _wait_for_port(process: subprocess.Popen[bytes], port_file: Path, log: Path) -> int:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if port_file.exists():
            return int(port_file.read_text(encoding="ascii"))
        if process.poll() is not None:
            raise StartError(f"The server for this run did not start: {_said(log)}")
        time.sleep(_POLL_S)
    raise StartError(f"The server for this run was not ready within {_START_TIMEOUT_S:g} s.")


def _last_words(process: subprocess.Popen[bytes], log: Path) -> str:
    try:
        code = process.wait(_DYING_S)
    except subprocess.TimeoutExpired:
        return ""
    how = f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
    return f"the server for this run {how}; it said last: {_said(log).rpartition(chr(10))[2]}"


def _said(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace").strip()


class _Log:
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


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.terminate()
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        pass
    finally:  # a second Ctrl-C comes here at once
        process.kill()
        process.wait()
