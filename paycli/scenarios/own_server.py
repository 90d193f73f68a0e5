"""A server of one's own: a real `paycli serve` process with a store that goes with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from paycli.errors import StartError

_START_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 15.0
_POLL_S: Final = 0.01


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
        with log.open("wb") as log_stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "paycli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log_stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us: we stop it in our own order
            )
        try:
            port = _wait_for_port(process, port_file, log)
            yield OwnServer(f"localhost:{port}", process.pid)
        finally:
            _stop(process)


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
