"""A server of one's own: a real `paycli serve` process with a store that goes with it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from paycli.errors import StartError
from paycli.scenarios.own_process import Log, endings_wait, said, start, temporary_folder

# -P: a random.py where the user stands is not the random that we mean
PAYCLI: Final = (sys.executable, "-P", "-m", "paycli")

_START_TIMEOUT_S: Final = 30.0
_DYING_S: Final = 1.0  # its connections end a little before it does
_POLL_S: Final = 0.01


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
        with endings_wait():
            folder = stack.enter_context(temporary_folder())
            port_file, log = folder / "port", folder / "log"
            arguments = ["serve", *servicers, "--port", "0", "--port-file", str(port_file)]
            if not servicers:
                url = (
                    store if isinstance(store, str) else f"sqlite:///{store or folder / 'store.db'}"
                )
                arguments += ["--store", url]
            if log_calls:
                arguments.append("--log-calls")
            process = start([*PAYCLI, *arguments], log, stack, own_environment())
        port = wait_for_port(process, port_file, log)
        last_words = partial(_last_words, process, log)
        yield OwnServer(f"localhost:{port}", process.pid, last_words, Log(log).tail)


def own_environment() -> dict[str, str]:
    """Ours without settings, which are for a server of the user's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAYCLI_")}
    return {**kept, "PAYCLI_CONFIG": os.devnull}


def wait_for_port(process: subprocess.Popen[bytes], port_file: Path, log: Path) -> int:
    """Where it listens, once it does. Raises StartError."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if port_file.exists():
            return int(port_file.read_text(encoding="ascii"))
        if process.poll() is not None:
            raise StartError(f"The server for this run did not start: {said(log)}")
        time.sleep(_POLL_S)
    raise StartError(f"The server for this run was not ready within {_START_TIMEOUT_S:g} s.")


def _last_words(process: subprocess.Popen[bytes], log: Path) -> str:
    try:
        code = process.wait(_DYING_S)
    except subprocess.TimeoutExpired:
        return ""
    how = f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
    return f"the server for this run {how}; it said last: {said(log).rpartition(chr(10))[2]}"
