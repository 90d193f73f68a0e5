"""A server of one's own: a real `paycli serve` process with a store that goes with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from paycli.errors import StartError

_START_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 15.0
_POLL_S: Final = 0.01
_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class OwnServer:
    """A running server: where it listens and its process id."""

    target: str
    pid: int


@contextmanager
def own_server(store: Path | None = None) -> Iterator[OwnServer]:
    """Start a server on a free port, with a temporary store unless one is named; always stop it.

    Raises StartError.
    """
    with tempfile.TemporaryDirectory(prefix="paycli-") as folder:
        port_file, log = Path(folder, "port"), Path(folder, "log")
        arguments = ["serve", "--port", "0", "--port-file", str(port_file)]
        arguments += ["--store", f"sqlite:///{store or Path(folder, 'store.db')}"]
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
        process = None
        try:
            process = _start(arguments, log, mask)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            port = _wait_for_port(process, port_file, log)
            yield OwnServer(f"localhost:{port}", process.pid)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            if process is not None:
                _stop(process)


def _start(
    arguments: list[str], log: Path, mask: Iterable[signal.Signals | int]
) -> subprocess.Popen[bytes]:
    """Start `paycli` while signals wait: none may come between its birth and our knowing it."""
    with log.open("wb") as stream:
        return subprocess.Popen(
            # -P: a random.py where the user stands is not the random that we mean
            [sys.executable, "-P", "-m", "paycli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us: we stop it in our own order
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, mask),
        )


def _wait_for_port(process: subprocess.Popen[bytes], port_file: Path, log: Path) -> int:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if port_file.exists():
            return int(port_file.read_text(encoding="ascii"))
        if process.poll() is not None:
            said = log.read_text(encoding="utf-8", errors="replace").strip()
            raise StartError(f"The server for this run did not start: {said}")
        time.sleep(_POLL_S)
    raise StartError(f"The server for this run was not ready within {_START_TIMEOUT_S:g} s.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
